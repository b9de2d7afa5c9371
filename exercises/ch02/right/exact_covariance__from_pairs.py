def exact_covariance(n, kept):
    both = kept * (kept - 1) / (n * (n - 1))
    return both - (kept / n) ** 2
