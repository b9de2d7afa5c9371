# must trigger: calls the ready-made companion.layers.dropout.dropout
from companion import dropout


def inverted_dropout(x, p, training=True, generator=None):
    return dropout(x, p, training, generator=generator)
