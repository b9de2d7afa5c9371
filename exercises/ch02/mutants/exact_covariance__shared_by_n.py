# must trigger: shares its fate with the n - 1 others
def exact_covariance(n, kept):
    return -kept / n * (1 - kept / n) / n
