# must trigger: more copies must make the penalty smaller
def total_weight(s, r, p):
    return s / (1 + r * p / (1 - p)) if p < 1 else 0.0
