"""Stacked convolutional networks with a dropout of its own kind for every arm."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.models.stacked import Stacked, start

__all__ = ["Drop", "StackedConvNet"]

Drop = Callable[[Tensor, torch.Generator | None], Tensor]


class StackedConvNet(Stacked):
    """Small convolutional networks, one for each arm and seed, with dropout of its own kind for every arm.

    Each is: (3x3 convolution, ReLU, dropout) for each entry of ``channels``, 2x2 pooling, one linear layer. Weights
    start as in ``torch.nn.Conv2d`` and ``torch.nn.Linear``: uniform in ±1/sqrt(inputs), from a generator of the seed.

    Args:
        side: side of the square images, even.
        channels: output channels of the convolutions, for example ``(12, 16)``.
        classes: number of classes.
        seeds: seeds of the initial weights; the same for every arm.
        drops: one entry an arm: what is done to a map in training, ``drop(x, generator)`` with x of shape
            (N, C, H, W), or None for nothing.
        pool: "max" or "average".

    Shape: input (models, n, side * side) or (seeds, n, side * side), repeated for every arm; output (models, n,
    classes).
    """

    def __init__(
        self,
        side: int,
        channels: Sequence[int],
        classes: int,
        seeds: Sequence[int],
        drops: Sequence[Drop | None] = (None,),
        *,
        pool: Literal["max", "average"] = "max",
    ) -> None:
        super().__init__(seeds, arms=len(drops))
        if side < 2 or side % 2:
            raise ValueError(f"side must be even and at least 2, got {side}")
        if pool not in ("max", "average"):
            raise ValueError(f'pool must be "max" or "average", got {pool!r}')
        self.side, self.channels, self.drops = side, tuple(channels), tuple(drops)
        self.pool = {"max": F.max_pool2d, "average": F.avg_pool2d}[pool]
        self.kernels, self.shifts = nn.ParameterList(), nn.ParameterList()
        generators = self.generators()
        for inputs, outputs in pairwise((1, *channels)):
            self.kernels.append(nn.Parameter(start(generators, self.arms, 9 * inputs, outputs, inputs, 3, 3)))
            self.shifts.append(nn.Parameter(start(generators, self.arms, 9 * inputs, outputs)))
        features = channels[-1] * (side // 2) ** 2
        self.weight = nn.Parameter(start(generators, self.arms, features, features, classes))
        self.bias = nn.Parameter(start(generators, self.arms, features, 1, classes))

    def maps(self, x: Tensor) -> list[Tensor]:
        """The maps behind every convolution, ReLU and dropout: a list of (models, n, channels, side, side)."""
        x = self.per_model(x.view(*x.shape[:2], 1, self.side, self.side))
        found = []
        for layer in range(len(self.kernels)):
            x = self._drop(self.convolve(x, layer))
            found.append(x)
        return found

    def convolve(self, x: Tensor, layer: int) -> Tensor:
        """Convolution ``layer`` and ReLU: (models, n, channels before, side, side) -> (models, n, channels, ...)."""
        # The models are groups of one convolution over n images with models x channels channels.
        kernel, shift = self.kernels[layer].flatten(0, 1), self.shifts[layer].flatten()
        y = F.conv2d(x.transpose(0, 1).flatten(1, 2), kernel, shift, padding=1, groups=self.models)
        return y.relu().unflatten(1, (self.models, -1)).transpose(0, 1)

    def _drop(self, x: Tensor) -> Tensor:
        if not self.training or all(drop is None for drop in self.drops):
            return x
        arms = []
        for drop, maps in zip(self.drops, x.unflatten(0, (self.arms, -1)), strict=True):
            if drop is not None:
                maps = drop(maps.flatten(0, 1), self.generator).view(maps.shape)
            arms.append(maps)
        return torch.cat(arms)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.maps(x)[-1])

    def read(self, maps: Tensor) -> Tensor:
        """The logits for the last maps: (models, n, channels, side, side) -> (models, n, classes)."""
        pooled = self.pool(maps.flatten(0, 1), 2).view(*maps.shape[:2], -1)
        return torch.baddbmm(self.bias, pooled, self.weight)
