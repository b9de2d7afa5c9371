# must trigger: calls the ready-made companion.layers.stochastic_depth.stochastic_depth
from companion import stochastic_depth


def skipping_block(x, f, p, training=True, generator=None):
    return stochastic_depth(x, f, p, training, "sample", generator=generator)
