# must trigger: along that axis only
def seed_gamma(height, width, p, block_size):
    k = min(block_size, height, width)
    return p / k**2 * height * width / ((height - k + 1) * (width - k + 1))
