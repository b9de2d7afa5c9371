# must trigger: that is the weight of one copy
def total_weight(s, r, p):
    return s / (r + p / (1 - p)) if p < 1 else 0.0
