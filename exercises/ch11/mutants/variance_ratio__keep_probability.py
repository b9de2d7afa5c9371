# must trigger: right for a unit of mean 0 only
def variance_ratio(mean, variance, p):
    return 1 - p
