# must trigger: not k.
def seed_gamma(height, width, p, block_size):
    k = block_size
    return p / k * height * width / ((height - k + 1) * (width - k + 1))
