# must trigger: the sign is not
def exact_covariance(n, kept):
    return kept / n * (1 - kept / n) / (n - 1)
