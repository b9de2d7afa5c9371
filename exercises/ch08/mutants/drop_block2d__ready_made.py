# must trigger: calls the ready-made companion.layers.dropblock.drop_block
from companion import drop_block


def drop_block2d(x, p, block_size, training=True, generator=None):
    return drop_block(x, p, block_size, training, "paper", generator=generator)
