def total_weight(s, r, p):
    lost = p / (p + r * (1 - p))
    return s - s * lost
