# must trigger: the mean of 1 - (1 - gamma)**n over all cells must be p
def exact_gamma(height, width, p, block_size):
    return p
