# must trigger: calls the ready-made companion
from companion import locked_dropout as ready


def locked_dropout(x, p, training=True, time_axis=1, generator=None):
    return ready(x, p, training, time_axis, generator=generator)
