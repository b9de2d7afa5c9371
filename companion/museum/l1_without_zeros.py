"""An L1 penalty without a single zero.

Added to the loss, the L1 penalty pushes every useless weight towards zero, past it, and back again; it never stops
there. Exact zeros come from the proximal step: shrink towards zero, and stay there on arrival.
"""

import torch
from torch import Tensor

from companion.penalties import soft_threshold_

CHAPTER = "14"


def wrong(w: Tensor, gradient: Tensor, lr: float, strength: float) -> Tensor:
    return w - lr * (gradient + strength * w.sign())


def right(w: Tensor, gradient: Tensor, lr: float, strength: float) -> Tensor:
    return soft_threshold_(w - lr * gradient, lr * strength)


def check(step) -> None:
    x, truth = torch.randn(200, 20), torch.zeros(20)
    truth[:3] = torch.tensor([2.0, -3.0, 1.5])
    y, w = x @ truth, torch.full((20,), 0.5)
    for _ in range(500):
        w = step(w, x.T @ (x @ w - y) / 200, 0.05, 0.1)
    zeros = int((w == 0).sum())
    assert zeros == 17, f"17 of 20 features are useless and must get the weight 0; {zeros} got it"
