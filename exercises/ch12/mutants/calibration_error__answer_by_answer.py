# must trigger: First average within a bin
def calibration_error(confidence, right, bins):
    return (confidence - right).abs().mean()
