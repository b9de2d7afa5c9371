# must trigger: all features of a sequence share one coin
import torch


def locked_dropout(x, p, training=True, time_axis=1, generator=None):
    if not training:
        return x
    if p == 1:
        return x * 0
    shape = list(x.shape)
    shape[time_axis] = shape[2] = 1
    survivors = torch.empty(shape, dtype=x.dtype).bernoulli_(1 - p, generator=generator)
    return x * survivors / (1 - p)
