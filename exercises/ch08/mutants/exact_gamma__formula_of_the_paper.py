# must trigger: which counts overlapping blocks twice
def exact_gamma(height, width, p, block_size):
    k = block_size
    return p / k**2 * height * width / ((height - k + 1) * (width - k + 1))
