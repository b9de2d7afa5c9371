# must trigger: the factor of the map is missing
def seed_gamma(height, width, p, block_size):
    return p / block_size**2
