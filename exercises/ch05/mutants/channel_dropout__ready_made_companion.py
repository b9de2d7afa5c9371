# must trigger: calls the ready-made companion
from companion import spatial_dropout


def channel_dropout(x, p, training=True, generator=None):
    return spatial_dropout(x, p, training, generator=generator)
