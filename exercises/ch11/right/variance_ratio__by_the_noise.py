def variance_ratio(mean, variance, p):
    # The mask has mean 1 and variance p / (1 - p), and it is independent of the unit.
    noise = p / (1 - p) * (variance + mean * mean)
    return 1 / (1 + noise / variance)
