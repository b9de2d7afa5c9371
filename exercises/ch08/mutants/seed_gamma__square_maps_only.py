# must trigger: the width is not used
def seed_gamma(height, width, p, block_size):
    k = block_size
    return p / k**2 * height**2 / (height - k + 1) ** 2
