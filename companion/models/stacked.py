"""What all stacked networks share: arms, seeds, paired initial weights."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Stacked", "start"]


def start(generators: Sequence[torch.Generator], arms: int, inputs: int, *shape: int) -> Tensor:
    """Initial weights of all models, uniform in ±1/sqrt(inputs): one draw a seed, the same for every arm."""
    draws = [(2 * torch.rand(shape, generator=g) - 1) * inputs**-0.5 for g in generators]
    return torch.stack(draws).repeat(arms, *(1,) * len(shape))


class Stacked(nn.Module):
    """Networks whose parameters have a leading model axis: model ``a * seeds + s`` is seed s of arm a.

    Args:
        seeds: seeds of the initial weights; the same for every arm.
        arms: number of arms, at least 1.
    """

    def __init__(self, seeds: Sequence[int], arms: int) -> None:
        super().__init__()
        self.seeds, self.arms = tuple(seeds), arms
        self.generator: torch.Generator | None = None  # of the masks; None: torch's global one

    @property
    def models(self) -> int:
        return self.arms * len(self.seeds)

    def generators(self) -> list[torch.Generator]:
        """A generator of initial weights for each seed."""
        return [torch.Generator().manual_seed(seed) for seed in self.seeds]

    def per_model(self, x: Tensor) -> Tensor:
        """``x`` for every model: what has one entry a seed is repeated for every arm."""
        return x if x.shape[0] == self.models else x.repeat(self.arms, *(1,) * (x.ndim - 1))
