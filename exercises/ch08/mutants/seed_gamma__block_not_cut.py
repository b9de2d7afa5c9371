# must trigger: is cut to the map's length
def seed_gamma(height, width, p, block_size):
    k = block_size
    return p / k**2 * height * width / (abs(height - k + 1) * abs(width - k + 1))
