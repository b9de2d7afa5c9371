# must trigger: the middle of the bin
def calibration_error(confidence, right, bins):
    numbers = (confidence * bins).long().clamp(max=bins - 1)
    total = 0.0
    for b in range(bins):
        inside = numbers == b
        total += abs(float((right[inside] - (b + 0.5) / bins).sum()))
    return total / len(confidence)
