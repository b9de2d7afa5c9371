"""A coin that drops at p = 0.

Uniform numbers lie on a grid that includes 0, so ``rand > p`` loses the zeros. In float32 that is one element in 16
million, in bfloat16 one in 256: a layer that is switched off still drops. Draw in float32 and compare with ``>=``.
"""

import torch
from torch import Tensor

CHAPTER = "02"


def wrong(x: Tensor, p: float) -> Tensor:
    return x * (torch.rand_like(x) > p) / (1 - p)


def right(x: Tensor, p: float) -> Tensor:
    return x * (torch.rand(x.shape, device=x.device) >= p) / (1 - p)


def check(dropout) -> None:
    x = torch.ones(2**18, dtype=torch.bfloat16)
    lost = int((dropout(x, 0.0) == 0).sum())
    assert lost == 0, "at p = 0 nothing may be dropped, and bfloat16 lost about one element in 256"
