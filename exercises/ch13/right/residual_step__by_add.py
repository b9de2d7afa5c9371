import torch


def residual_step(x, norm, f, drop):
    return torch.add(drop(f(norm(x))), x)
