# must trigger: that is p, the rate of cells
def seed_gamma(height, width, p, block_size):
    return p
