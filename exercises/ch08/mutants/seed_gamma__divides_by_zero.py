# must trigger: raised ZeroDivisionError
def seed_gamma(height, width, p, block_size):
    k = block_size
    return p / k**2 * height * width / (max(0, height - k + 1) * max(0, width - k + 1))
