# must trigger: empty ones too
def calibration_error(confidence, right, bins):
    numbers = (confidence * bins).long().clamp(max=bins - 1)
    gaps = []
    for b in range(bins):
        inside = numbers == b
        if inside.any():
            gaps.append(abs(float(right[inside].mean() - confidence[inside].mean())))
    return sum(gaps) / bins
