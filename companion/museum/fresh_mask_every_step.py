"""A new mask at every step of a memory.

A unit of a recurrent state that is dropped once is forgotten for good. With a new mask at each of a hundred steps even
p = 0.1 forgets everything: 0.9 to the power of 100 is nearly nothing. One mask, locked over all steps, costs a tenth
of the units and no memory {cite}`gal2016`.
"""

import torch
from torch import Tensor

CHAPTER = "13"


def wrong(state: Tensor, steps: int, p: float) -> Tensor:
    for _ in range(steps):
        state = state * (torch.rand(state.shape) >= p)
    return state


def right(state: Tensor, steps: int, p: float) -> Tensor:
    mask = torch.rand(state.shape) >= p
    for _ in range(steps):
        state = state * mask
    return state


def check(remember) -> None:
    left = (remember(torch.ones(64, 64), 100, 0.1) != 0).float().mean()
    assert left > 0.8, f"after 100 steps at p = 0.1 nine tenths of the units must be alive; {left:.0%} are"
