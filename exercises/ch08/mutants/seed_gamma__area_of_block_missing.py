# must trigger: divide by them
def seed_gamma(height, width, p, block_size):
    k = block_size
    return p * height * width / ((height - k + 1) * (width - k + 1))
