# must trigger: an empty bin has no mean
def calibration_error(confidence, right, bins):
    numbers = (confidence * bins).long().clamp(max=bins - 1)
    total = 0.0
    for b in range(bins):
        inside = numbers == b
        total = total + inside.sum() / len(confidence) * (right[inside].mean() - confidence[inside].mean()).abs()
    return total
