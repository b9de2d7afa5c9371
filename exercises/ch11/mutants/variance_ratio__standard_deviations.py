# must trigger: ratio of the standard deviations
def variance_ratio(mean, variance, p):
    return (variance / ((mean**2 + variance) / (1 - p) - mean**2)) ** 0.5
