# must trigger: that is the correlation
def exact_covariance(n, kept):
    return -1 / (n - 1) if 0 < kept < n else 0.0
