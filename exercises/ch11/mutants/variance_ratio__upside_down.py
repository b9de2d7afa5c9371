# must trigger: training over evaluation
def variance_ratio(mean, variance, p):
    return ((mean**2 + variance) / (1 - p) - mean**2) / variance
