# must trigger: calls the ready-made companion.layers.dropblock.seed_rate
from companion.layers.dropblock import seed_rate


def exact_gamma(height, width, p, block_size):
    return seed_rate((height, width), p, block_size)
