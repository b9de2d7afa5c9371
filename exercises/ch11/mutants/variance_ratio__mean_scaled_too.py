# must trigger: the division by k keeps it
def variance_ratio(mean, variance, p):
    k = 1 - p
    return variance / ((mean**2 + variance) / k - (mean / k) ** 2)
