"""A mask that changes the type of what it touches.

``.float()`` makes a float32 mask, and half precision times float32 is float32: from here on the network computes, and
stores, twice the bytes. The mask is also made on the CPU, which on a GPU is an error. Make it from the input itself.
"""

import torch
from torch import Tensor

CHAPTER = "02"


def wrong(x: Tensor, p: float) -> Tensor:
    n, channels = x.shape[:2]
    return x * (torch.rand(n, channels, 1, 1) < 1 - p).float() / (1 - p)


def right(x: Tensor, p: float) -> Tensor:
    n, channels = x.shape[:2]
    return x * x.new_empty(n, channels, 1, 1).bernoulli_(1 - p).div_(1 - p)


def check(channel_dropout) -> None:
    y = channel_dropout(torch.ones(2, 8, 4, 4, dtype=torch.float16), 0.5)
    assert y.dtype == torch.float16, f"float16 came in, so float16 must come out, not {str(y.dtype)[6:]}"
