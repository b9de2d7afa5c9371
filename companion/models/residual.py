"""Stacked residual networks with stochastic depth."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.layers.base import apply_mask, inverse
from companion.masks import bernoulli, check_p
from companion.models.stacked import Stacked, start

__all__ = ["StackedResidualMLP"]


class StackedResidualMLP(Stacked):
    """Deep residual networks of small blocks, one for each arm and seed, whose blocks are dropped by stochastic depth.

    A linear stem, then blocks x + f(norm(x)), where f is linear, ReLU, linear and the norm is that of the features
    without parameters, then norm and a linear head. A coin decides about a block of one model for the whole batch. All
    blocks are computed, because a stack of models has no step at which all drop the same one: what is saved is shown
    with :class:`companion.layers.stochastic_depth.StochasticDepth`.

    Args:
        features: number of inputs.
        width: units of every layer.
        classes: number of classes.
        seeds: seeds of the initial weights; the same for every arm.
        rates: one entry an arm: the probability of dropping each block, in order, from :mod:`companion.schedules` say.
            All arms have as many blocks.

    Shape: input (models, n, features) or (seeds, n, features), repeated for every arm; output (models, n, classes).
    """

    def __init__(
        self, features: int, width: int, classes: int, seeds: Sequence[int], rates: Sequence[Sequence[float]]
    ) -> None:
        super().__init__(seeds, arms=len(rates))
        depths = {len(entry) for entry in rates}
        if len(depths) != 1:
            raise ValueError(f"rates must have as many blocks in every arm, got {sorted(depths)}")
        (self.depth,) = depths
        p = torch.tensor([[check_p(float(value)) for value in entry] for entry in rates], dtype=torch.float64)
        self.register_buffer("p", p.repeat_interleave(len(self.seeds), 0)[:, :, None, None])  # models, blocks, 1, 1
        generators = self.generators()
        sizes = [(features, width), *[(width, width)] * (2 * self.depth), (width, classes)]
        starts = [start(generators, self.arms, inputs, inputs + 1, outputs) for inputs, outputs in sizes]
        self.weights = nn.ParameterList(nn.Parameter(start[:, :-1].contiguous()) for start in starts)
        self.biases = nn.ParameterList(nn.Parameter(start[:, -1:].contiguous()) for start in starts)

    def linear(self, x: Tensor, layer: int) -> Tensor:
        return torch.baddbmm(self.biases[layer], x, self.weights[layer])

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(self.per_model(x), 0)
        for block in range(self.depth):
            branch = self.linear(F.layer_norm(x, x.shape[-1:]), 2 * block + 1).relu()
            branch = self.linear(branch, 2 * block + 2)
            p = self.p[:, block]
            if self.training and bool(p.any()):
                coins = bernoulli(p.shape, p, device=x.device, generator=self.generator)
                branch = apply_mask(branch, coins, inverse(p))
            x = x + branch
        return self.linear(F.layer_norm(x, x.shape[-1:]), 2 * self.depth + 1)
