# must trigger: not percent
def calibration_error(confidence, right, bins):
    numbers = (confidence * bins).long().clamp(max=bins - 1)
    zeros = torch.zeros(bins, dtype=confidence.dtype)
    return 100 * zeros.scatter_add(0, numbers, right - confidence).abs().sum() / len(confidence)
