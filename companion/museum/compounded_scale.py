"""A locked mask that scales at every step.

Inverted scaling is right once. On a state that is carried from step to step the factor is applied again and again, and
what survives grows like a loan at ten per cent. Carry the masked state, and scale only what is read from it.
"""

import torch
from torch import Tensor

CHAPTER = "13"


def wrong(state: Tensor, steps: int, p: float) -> Tensor:
    mask = (torch.rand(state.shape) >= p) / (1 - p)
    for _ in range(steps):
        state = state * mask
    return state


def right(state: Tensor, steps: int, p: float) -> Tensor:
    mask = torch.rand(state.shape) >= p
    for _ in range(steps):
        state = state * mask
    return state / (1 - p)


def check(remember) -> None:
    mean = float(remember(torch.ones(100, 100), 50, 0.1).mean())
    assert 0.9 < mean < 1.1, f"a memory of 1 must still be 1 on average after 50 steps, and it is {mean:.0f}"
