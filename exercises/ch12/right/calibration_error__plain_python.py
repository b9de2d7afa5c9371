def calibration_error(confidence, right, bins):
    boxes = {}
    for c, r in zip(confidence.tolist(), right.tolist()):
        boxes.setdefault(min(int(c * bins), bins - 1), []).append((c, r))
    total = 0.0
    for answers in boxes.values():
        accuracy = sum(r for _, r in answers) / len(answers)
        mean = sum(c for c, _ in answers) / len(answers)
        total += len(answers) / len(confidence) * abs(accuracy - mean)
    return total
