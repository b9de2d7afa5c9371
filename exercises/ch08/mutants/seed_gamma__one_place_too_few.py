# must trigger: fits in length - k + 1 places
def seed_gamma(height, width, p, block_size):
    k = block_size
    return p / k**2 * height * width / ((height - k) * (width - k))
