"""Scaled in training and at test.

Two recipes are right: divide by 1 - p in training, or multiply by 1 - p at test. Whoever mixes two tutorials does both,
and every dropout layer makes the signal weaker at test than the layers behind it were trained for.
"""

import torch
from torch import Tensor

CHAPTER = "03"


def wrong(x: Tensor, p: float, training: bool) -> Tensor:
    if training:
        return x * (torch.rand(x.shape) >= p) / (1 - p)
    return x * (1 - p)


def right(x: Tensor, p: float, training: bool) -> Tensor:
    if training:
        return x * (torch.rand(x.shape) >= p) / (1 - p)
    return x


def check(dropout) -> None:
    x = torch.ones(100_000)
    trained, tested = dropout(x, 0.5, True).mean(), dropout(x, 0.5, False).mean()
    assert abs(tested / trained - 1) < 0.05, (
        f"the mean at test must be that of training, and it is {tested / trained:.1f} of it"
    )
