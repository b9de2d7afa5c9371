# must trigger: exactly 1 are in none of your bins
def calibration_error(confidence, right, bins):
    total, seen = 0.0, 0
    for b in range(bins):
        inside = (confidence >= b / bins) & (confidence < (b + 1) / bins)
        total += abs(float((right[inside] - confidence[inside]).sum()))
        seen += int(inside.sum())
    return total / seen
