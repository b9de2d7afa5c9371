# must trigger: your mask is not divided by k
def variance_ratio(mean, variance, p):
    k = 1 - p
    return variance / (k * (mean**2 + variance) - (k * mean) ** 2)
