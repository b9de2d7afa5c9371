def calibration_error(confidence, right, bins):
    numbers = torch.floor(confidence * bins).long()
    numbers[numbers == bins] = bins - 1
    gaps = torch.zeros(bins, dtype=torch.float64)
    gaps.index_add_(0, numbers, right.double() - confidence.double())
    return gaps.abs().sum() / confidence.numel()
