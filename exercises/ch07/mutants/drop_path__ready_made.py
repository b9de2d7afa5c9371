# must trigger: calls the ready-made companion.layers.stochastic_depth.drop_path
from companion import drop_path as ready


def drop_path(y, p, training=True, mode="row", generator=None):
    return ready(y, p, training, generator=generator)
