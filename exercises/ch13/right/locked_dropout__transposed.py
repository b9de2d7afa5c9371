import torch


def locked_dropout(x, p, training=True, time_axis=1, generator=None):
    if training:
        by_step = x.transpose(0, time_axis)  # steps first
        mask = torch.bernoulli(torch.full(by_step.shape[1:], 1 - p, dtype=x.dtype), generator=generator)
        by_step = by_step * (mask / (1 - p) if p < 1 else mask)
        x = by_step.transpose(0, time_axis)
    return x
