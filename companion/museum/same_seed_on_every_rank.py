"""The same masks on every worker.

Data-parallel training starts every worker with the same seed, so that they start from the same weights. If the masks
come from that seed too, all workers drop the same units, and averaging their gradients averages away nothing of the
noise. One seed for the weights, one for each worker's masks.
"""

import torch

CHAPTER = "13"


def wrong(seed: int, rank: int) -> tuple[torch.Tensor, torch.Tensor]:  # initial weights, first mask
    torch.manual_seed(seed)
    return torch.randn(8, 8), torch.rand(64) >= 0.5


def right(seed: int, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    weights = torch.randn(8, 8)
    torch.manual_seed(seed + 1 + rank)
    return weights, torch.rand(64) >= 0.5


def check(start) -> None:
    (weights, mask), (other_weights, other_mask) = start(7, rank=0), start(7, rank=1)
    assert torch.equal(weights, other_weights), "workers must start from the same weights, and they do not"
    assert not torch.equal(mask, other_mask), "workers must draw masks of their own, and two of them drew the same"
