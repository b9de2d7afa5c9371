"""A skipped block that is computed all the same.

Stochastic depth is said to save time. Written as a mask on the finished branch, it saves nothing: the branch has been
computed when its output is thrown away. Time is saved where one coin decides for the whole batch *before* the call.
"""

import torch
from torch import Tensor

from companion import drop_path, stochastic_depth

CHAPTER = "07"


def wrong(x: Tensor, branch, p: float) -> Tensor:
    return x + drop_path(branch(x), p)


def right(x: Tensor, branch, p: float) -> Tensor:
    return stochastic_depth(x, branch, p, mode="batch")


def check(block) -> None:
    called = 0

    def branch(x: Tensor) -> Tensor:
        nonlocal called
        called += 1
        return x

    for _ in range(100):
        block(torch.ones(4, 8), branch, 0.5)
    assert called < 80, f"at p = 0.5 about half of 100 branches must be skipped, and {called} were computed"
