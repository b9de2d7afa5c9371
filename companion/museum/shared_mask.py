"""One mask for the whole batch.

The mask has the shape of one example and is broadcast over the batch, so that all examples of a step lose the same
units. Each step then trains one subnetwork in place of a hundred, and the gradient is far noisier. Nothing fails:
broadcasting is polite.
"""

import torch
from torch import Tensor

CHAPTER = "02"


def wrong(x: Tensor, p: float) -> Tensor:
    mask = torch.rand(x.shape[1:]) >= p
    return x * mask / (1 - p)


def right(x: Tensor, p: float) -> Tensor:
    mask = torch.rand(x.shape) >= p
    return x * mask / (1 - p)


def check(dropout) -> None:
    y = dropout(torch.ones(64, 32), 0.5)
    different = len(y.unique(dim=0))
    assert different > 32, f"each of 64 examples must get a mask of its own, and there are {different} different masks"
