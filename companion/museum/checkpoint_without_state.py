"""A checkpoint that draws other masks.

Activation checkpointing computes a block twice: once forward, and once more for the gradient. If the random state is
not put back in between, the second run has other masks, and the gradient belongs to a network that never made the
prediction. Leave ``preserve_rng_state`` alone.
"""

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

CHAPTER = "13"


def wrong(block: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(block, x, use_reentrant=False, preserve_rng_state=False)


def right(block: nn.Module, x: Tensor) -> Tensor:
    return checkpoint(block, x, use_reentrant=False)


def check(run) -> None:
    block, x = nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.5)), torch.ones(1, 64, requires_grad=True)
    y = run(block, x)
    y.sum().backward()
    kept = (y != 0).flatten()
    through = block[0].weight.grad.abs().sum(1) > 0
    assert torch.equal(kept, through), "units that the forward pass dropped must get no gradient, and some got one"
