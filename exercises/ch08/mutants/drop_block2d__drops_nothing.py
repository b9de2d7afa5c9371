# must trigger: the share of dropped cells is off
def drop_block2d(x, p, block_size, training=True, generator=None):
    return x
