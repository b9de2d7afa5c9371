"""Dropout across the shortcut.

In a residual block dropout belongs on the branch, before it is added {cite}`vaswani2017`. After the addition it drops
the shortcut as well: the one path on which signal and gradient pass unhindered through a hundred blocks.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

CHAPTER = "13"


def wrong(x: Tensor, branch, p: float) -> Tensor:
    return F.dropout(x + branch(x), p)


def right(x: Tensor, branch, p: float) -> Tensor:
    return x + F.dropout(branch(x), p)


def check(block) -> None:
    x = torch.ones(100, 100)
    for _ in range(20):
        x = block(x, torch.zeros_like, 0.1)
    left = (x != 0).float().mean()
    assert left == 1, f"branches that add nothing must leave the input alone; after 20 blocks {left:.0%} of it is left"
