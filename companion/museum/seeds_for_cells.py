"""The rate of cells, taken for the rate of seeds.

In DropBlock each seed drops a whole block. Whoever lets seeds fire with probability p drops nearly everything; the
paper's formula divides by the size of the block {cite}`ghiasi2018`, and because blocks overlap it still misses the
rate. The companion solves for the seed rate that gives p exactly.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from companion import drop_block

CHAPTER = "08"


def wrong(x: Tensor, p: float, block_size: int) -> Tensor:
    seeds = (torch.rand(x.shape) < p).float()
    dropped = F.max_pool2d(seeds, block_size, stride=1, padding=block_size // 2)
    return x * (1 - dropped)


def right(x: Tensor, p: float, block_size: int) -> Tensor:
    return drop_block(x, p, block_size)


def check(block_dropout) -> None:
    dropped = (block_dropout(torch.ones(64, 16, 14, 14), 0.1, 5) == 0).float().mean()
    assert abs(dropped - 0.1) < 0.02, f"p = 0.1 must drop a tenth of the cells, and {dropped:.0%} are dropped"
