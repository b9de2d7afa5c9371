# must trigger: the entries are not independent
def exact_covariance(n, kept):
    return 0.0
