# must trigger: At the border of a map there are fewer
def exact_gamma(height, width, p, block_size):
    k = block_size
    return 1 - (1 - p) ** (1 / k**2)
