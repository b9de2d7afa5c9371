# must trigger: you divide by p
def variance_ratio(mean, variance, p):
    if p == 0:
        return 1.0
    return variance / ((mean**2 + variance) / p - mean**2)
