import torch


def locked_dropout(x, p, training=True, time_axis=1, generator=None):
    if not training or p == 0:
        return x
    scale = 0.0 if p == 1 else 1 / (1 - p)
    coins = torch.rand(x.select(time_axis, 0).shape, generator=generator, dtype=torch.float64).unsqueeze(time_axis)
    return torch.where(coins >= p, x * scale, torch.zeros_like(x))
