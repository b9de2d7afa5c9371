"""Networks whose parameters carry a leading model axis, so that arms x seeds train at once.

Model ``a * seeds + s`` belongs to arm a and seed s. All arms of a seed start from the same weights, so that they differ
in nothing but what the arm changes. M stacked models are M independent networks: a batched product never mixes them.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.layers.base import apply_mask, inverse
from companion.layers.dropout import dropout, naive_dropout, vanilla_dropout
from companion.masks import bernoulli, check_p

__all__ = ["SCHEMES", "StackedConvNet", "StackedMLP", "StackedResidualMLP"]

SCHEMES = {"naive": naive_dropout, "vanilla": vanilla_dropout, "inverted": dropout}
_ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "linear": lambda x: x}

Drop = Callable[[Tensor, torch.Generator | None], Tensor]


def _start(generators: Sequence[torch.Generator], arms: int, inputs: int, *shape: int) -> Tensor:
    """Initial weights of all models, uniform in ±1/sqrt(inputs): one draw a seed, the same for every arm."""
    draws = [(2 * torch.rand(shape, generator=g) - 1) * inputs**-0.5 for g in generators]
    return torch.stack(draws).repeat(arms, *(1,) * len(shape))


class StackedMLP(nn.Module):
    """Multi-layer perceptrons, one for each arm and seed, with dropout after every activation.

    Weights start as in ``torch.nn.Linear``: uniform in ±1/sqrt(inputs), from a generator of the seed.

    Args:
        widths: units of every layer, inputs first, outputs last, for example ``(64, 128, 10)``.
        seeds: seeds of the initial weights; the same for every arm.
        p: one entry an arm. A number is the probability of dropping at every hidden layer (none at the input); a
            sequence gives one probability for each site: the input, then each hidden layer.
        scheme: "inverted", "vanilla" or "naive"; see :mod:`companion.layers.dropout`.
        activation: "relu", "tanh" or "linear".
        bias: whether layers have biases.

    Shape: input (models, n, features) or (seeds, n, features), repeated for every arm; output (models, n, classes).
    """

    def __init__(
        self,
        widths: Sequence[int],
        seeds: Sequence[int],
        p: Sequence[float | Sequence[float]] = (0.0,),
        *,
        scheme: Literal["naive", "vanilla", "inverted"] = "inverted",
        activation: Literal["relu", "tanh", "linear"] = "relu",
        bias: bool = True,
    ) -> None:
        super().__init__()
        if len(widths) < 2 or min(widths) < 1:
            raise ValueError(f"widths must hold at least inputs and outputs, each at least 1, got {tuple(widths)}")
        if scheme not in SCHEMES:
            raise ValueError(f"scheme must be one of {sorted(SCHEMES)}, got {scheme!r}")
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(_ACTIVATIONS)}, got {activation!r}")
        self.widths, self.seeds, self.scheme, self.activation = tuple(widths), tuple(seeds), scheme, activation
        self.arms = len(p)
        self.generator: torch.Generator | None = None  # of the masks; None: torch's global one
        sites = len(widths) - 1
        rates = torch.tensor([self._rates(entry, sites) for entry in p], dtype=torch.float64)
        self.register_buffer("p", rates.repeat_interleave(len(seeds), 0)[:, :, None, None])  # models, sites, 1, 1
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        for inputs, outputs in pairwise(widths):
            start = _start(generators, self.arms, inputs, inputs + 1, outputs)
            self.weights.append(nn.Parameter(start[:, :-1].contiguous()))
            if bias:
                self.biases.append(nn.Parameter(start[:, -1:].contiguous()))

    @staticmethod
    def _rates(entry: float | Sequence[float], sites: int) -> list[float]:
        if isinstance(entry, int | float):
            return [0.0] + [check_p(entry)] * (sites - 1)
        if len(entry) != sites:
            raise ValueError(f"p must have {sites} entries an arm (the input and each hidden layer), got {len(entry)}")
        return [check_p(value) for value in entry]

    @property
    def models(self) -> int:
        return self.arms * len(self.seeds)

    def linear(self, x: Tensor, layer: int) -> Tensor:
        """Pre-activations of ``layer``: (models, n, inputs) -> (models, n, outputs)."""
        if len(self.biases):
            return torch.baddbmm(self.biases[layer], x, self.weights[layer])
        return torch.bmm(x, self.weights[layer])

    def activate(self, x: Tensor) -> Tensor:
        return _ACTIVATIONS[self.activation](x)

    def _drop(self, x: Tensor, site: int) -> Tensor:
        p = self.p[:, site]
        if not bool(p.any()):
            return x
        return SCHEMES[self.scheme](x, p, self.training, generator=self.generator)

    def _per_model(self, x: Tensor) -> Tensor:
        return x if x.shape[0] == self.models else x.repeat(self.arms, *(1,) * (x.ndim - 1))

    def hidden(self, x: Tensor) -> list[Tensor]:
        """Activations of every hidden layer, after dropout: a list of (models, n, units)."""
        x = self._drop(self._per_model(x), 0)
        activations = []
        for layer in range(len(self.weights) - 1):
            x = self._drop(self.activate(self.linear(x, layer)), layer + 1)
            activations.append(x)
        return activations

    def forward(self, x: Tensor) -> Tensor:
        last = len(self.weights) - 1
        return self.linear(self.hidden(x)[-1] if last else self._drop(self._per_model(x), 0), last)


class StackedConvNet(nn.Module):
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
        super().__init__()
        if side < 2 or side % 2:
            raise ValueError(f"side must be even and at least 2, got {side}")
        if pool not in ("max", "average"):
            raise ValueError(f'pool must be "max" or "average", got {pool!r}')
        self.side, self.channels, self.seeds, self.drops = side, tuple(channels), tuple(seeds), tuple(drops)
        self.arms = len(self.drops)
        self.pool = {"max": F.max_pool2d, "average": F.avg_pool2d}[pool]
        self.generator: torch.Generator | None = None  # of the masks; None: torch's global one
        self.kernels, self.shifts = nn.ParameterList(), nn.ParameterList()
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        for inputs, outputs in pairwise((1, *channels)):
            self.kernels.append(nn.Parameter(_start(generators, self.arms, 9 * inputs, outputs, inputs, 3, 3)))
            self.shifts.append(nn.Parameter(_start(generators, self.arms, 9 * inputs, outputs)))
        features = channels[-1] * (side // 2) ** 2
        self.weight = nn.Parameter(_start(generators, self.arms, features, features, classes))
        self.bias = nn.Parameter(_start(generators, self.arms, features, 1, classes))

    @property
    def models(self) -> int:
        return self.arms * len(self.seeds)

    def maps(self, x: Tensor) -> list[Tensor]:
        """The maps behind every convolution, ReLU and dropout: a list of (models, n, channels, side, side)."""
        x = x.view(*x.shape[:2], 1, self.side, self.side)
        x = x if x.shape[0] == self.models else x.repeat(self.arms, 1, 1, 1, 1)
        found = []
        for kernel, shift in zip(self.kernels, self.shifts, strict=True):
            # The models are groups of one convolution over n images with models x channels channels.
            together = x.transpose(0, 1).flatten(1, 2)
            y = F.conv2d(together, kernel.flatten(0, 1), shift.flatten(), padding=1, groups=self.models)
            x = self._drop(y.relu().unflatten(1, (self.models, -1)).transpose(0, 1))
            found.append(x)
        return found

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


class StackedResidualMLP(nn.Module):
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
        super().__init__()
        depths = {len(entry) for entry in rates}
        if len(depths) != 1:
            raise ValueError(f"rates must have as many blocks in every arm, got {sorted(depths)}")
        self.seeds, self.arms, (self.depth,) = tuple(seeds), len(rates), depths
        self.generator: torch.Generator | None = None  # of the coins; None: torch's global one
        p = torch.tensor([[check_p(float(value)) for value in entry] for entry in rates], dtype=torch.float64)
        self.register_buffer("p", p.repeat_interleave(len(self.seeds), 0)[:, :, None, None])  # models, blocks, 1, 1
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        sizes = [(features, width), *[(width, width)] * (2 * self.depth), (width, classes)]
        starts = [_start(generators, self.arms, inputs, inputs + 1, outputs) for inputs, outputs in sizes]
        self.weights = nn.ParameterList(nn.Parameter(start[:, :-1].contiguous()) for start in starts)
        self.biases = nn.ParameterList(nn.Parameter(start[:, -1:].contiguous()) for start in starts)

    @property
    def models(self) -> int:
        return self.arms * len(self.seeds)

    def linear(self, x: Tensor, layer: int) -> Tensor:
        return torch.baddbmm(self.biases[layer], x, self.weights[layer])

    def forward(self, x: Tensor) -> Tensor:
        x = x if x.shape[0] == self.models else x.repeat(self.arms, 1, 1)
        x = self.linear(x, 0)
        for block in range(self.depth):
            branch = self.linear(F.layer_norm(x, x.shape[-1:]), 2 * block + 1).relu()
            branch = self.linear(branch, 2 * block + 2)
            p = self.p[:, block]
            if self.training and bool(p.any()):
                coins = bernoulli(p.shape, p, device=x.device, generator=self.generator)
                branch = apply_mask(branch, coins, inverse(p))
            x = x + branch
        return self.linear(F.layer_norm(x, x.shape[-1:]), 2 * self.depth + 1)
