"""Weight decay inside Adam.

``torch.optim.Adam(weight_decay=...)`` adds the decay to the gradient, and Adam divides the sum by the size of the
gradient: weights with large gradients hardly decay. ``AdamW`` shrinks the weights themselves, all alike
{cite}`loshchilov2019`.
"""

import torch
from torch import nn

CHAPTER = "14"


def wrong(parameters) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=1e-2, weight_decay=0.1)


def right(parameters) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.1)


def check(optimizer) -> None:
    sizes = torch.tensor([0.01, 1.0])[:, None]  # gradients of two groups of weights: noise and nothing else
    weights = nn.Parameter(torch.ones(2, 500))
    steps = optimizer([weights])
    for _ in range(500):
        weights.grad = sizes * torch.randn(2, 500)
        steps.step()
    small, large = weights.detach().mean(1).tolist()
    assert abs(small - large) < 0.1, (
        "weights must decay alike whatever their gradients are; "
        f"with small ones {abs(small):.0%} is left, with large ones {large:.0%}"
    )
