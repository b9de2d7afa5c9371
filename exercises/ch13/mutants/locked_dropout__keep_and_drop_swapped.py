# must trigger: here p is the probability of dropping
import torch


def locked_dropout(x, p, training=True, time_axis=1, generator=None):
    if not training:
        return x
    if p == 0:
        return x
    shape = list(x.shape)
    shape[time_axis] = 1
    survivors = torch.empty(shape, dtype=x.dtype).bernoulli_(p, generator=generator)
    return x * survivors / max(1 - p, 1e-9) * (1 - p if p == 1 else 1)
