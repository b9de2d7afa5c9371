# must trigger: here p is the probability of dropping
def seed_gamma(height, width, p, block_size):
    k = block_size
    return (1 - p) / k**2 * height * width / ((height - k + 1) * (width - k + 1))
