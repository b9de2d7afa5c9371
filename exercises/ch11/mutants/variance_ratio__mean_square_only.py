# must trigger: not yet the variance
def variance_ratio(mean, variance, p):
    return variance * (1 - p) / (mean**2 + variance)
