# must trigger: calls the ready-made companion.layers.dropconnect.drop_connect_linear
from companion import drop_connect_linear


def drop_connect(x, weight, bias, p, training=True, generator=None):
    return drop_connect_linear(x, weight, bias, p, training, per_example=True, generator=generator)
