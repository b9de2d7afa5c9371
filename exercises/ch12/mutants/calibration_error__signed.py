# must trigger: gaps of different signs cancel
def calibration_error(confidence, right, bins):
    return (confidence - right).mean()
