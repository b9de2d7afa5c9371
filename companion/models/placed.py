"""Stacked networks with a drop rate for each named site, to compare where dropout is put."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.layers.dropout import dropout
from companion.masks import check_p
from companion.models.conv import StackedConvNet
from companion.models.mlp import StackedMLP
from companion.models.residual import StackedResidualMLP
from companion.models.stacked import start

__all__ = ["PlacedConvNet", "PlacedMLP", "PlacedResidualMLP"]

Rates = Sequence[Mapping[str, float]]


def _checked(rates: Rates, sites: Sequence[str], seeds: int) -> dict[str, Tensor]:
    """The rate of every model, by site: Tensor[models] of float64."""
    for arm in rates:
        if unknown := set(arm) - set(sites):
            raise ValueError(f"rates must name sites among {list(sites)}, got {sorted(unknown)}")
    by_site = {site: [check_p(float(arm.get(site, 0.0))) for arm in rates] for site in sites}
    return {
        site: torch.tensor(values, dtype=torch.float64).repeat_interleave(seeds) for site, values in by_site.items()
    }


class _Sites(nn.Module):
    """The rates of all sites, and what is dropped at them."""

    def __init__(self, rates: Rates, sites: Sequence[str], seeds: int) -> None:
        super().__init__()
        self.names = tuple(sites)
        for i, p in enumerate(_checked(rates, sites, seeds).values()):
            self.register_buffer(f"p{i}", p)

    def drop(self, x: Tensor, site: str, generator: torch.Generator | None) -> Tensor:
        """Dropout at ``site``: x of shape (models, ...). Models whose rate is 0 draw no masks."""
        p = getattr(self, f"p{self.names.index(site)}")
        chosen = p.nonzero()[:, 0]
        if not self.training or not len(chosen):
            return x
        shape = (len(chosen), *(1,) * (x.ndim - 1))
        if len(chosen) == len(x):
            return dropout(x, p.view(shape), generator=generator)
        return x.index_copy(0, chosen, dropout(x[chosen], p[chosen].view(shape), generator=generator))


class PlacedMLP(StackedMLP):
    """Multi-layer perceptrons with dropout at the sites "input", "hidden 1", "hidden 2", ..., "logits".

    Args:
        widths: units of every layer, inputs first, outputs last.
        seeds: seeds of the initial weights; the same for every arm.
        rates: one mapping an arm, from a site to the probability of dropping there; 0 where it says nothing.

    Shape: as :class:`companion.models.StackedMLP`.
    """

    def __init__(self, widths: Sequence[int], seeds: Sequence[int], rates: Rates) -> None:
        super().__init__(widths, seeds, (0.0,) * len(rates))
        self.sites = _Sites(rates, ("input", *(f"hidden {i}" for i in range(1, len(widths) - 1)), "logits"), len(seeds))

    def forward(self, x: Tensor) -> Tensor:
        x = self.sites.drop(self.per_model(x), "input", self.generator)
        last = len(self.weights) - 1
        for layer in range(last):
            x = self.sites.drop(self.activate(self.linear(x, layer)), f"hidden {layer + 1}", self.generator)
        return self.sites.drop(self.linear(x, last), "logits", self.generator)


class PlacedConvNet(StackedConvNet):
    """Small convolutional networks with a dense layer, with dropout at six sites.

    Two times (3x3 convolution, ReLU), 2x2 max pooling, a dense layer with ReLU, a linear head. The sites are "input",
    "conv 1", "conv 2", "pool", "dense" and "logits", each behind the part that it is named for.

    Args:
        side: side of the square images, even.
        channels: output channels of the two convolutions.
        dense: units of the dense layer.
        classes: number of classes.
        seeds: seeds of the initial weights; the same for every arm.
        rates: one mapping an arm, from a site to the probability of dropping single cells or units there; 0 where it
            says nothing.

    Shape: as :class:`companion.models.StackedConvNet`.
    """

    SITES = ("input", "conv 1", "conv 2", "pool", "dense", "logits")

    def __init__(
        self, side: int, channels: tuple[int, int], dense: int, classes: int, seeds: Sequence[int], rates: Rates
    ) -> None:
        super().__init__(side, channels, dense, seeds, (None,) * len(rates))
        self.sites = _Sites(rates, self.SITES, len(seeds))
        # Another stream than the one that drew the weights before it.
        generators = [torch.Generator().manual_seed(2_000_003 + seed) for seed in seeds]
        self.head = nn.Parameter(start(generators, self.arms, dense, dense, classes))
        self.head_bias = nn.Parameter(start(generators, self.arms, dense, 1, classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.per_model(x.view(*x.shape[:2], 1, self.side, self.side))
        x = self.sites.drop(x, "input", self.generator)
        for layer in (0, 1):
            x = self.sites.drop(self.convolve(x, layer), f"conv {layer + 1}", self.generator)
        x = self.sites.drop(self.pool(x.flatten(0, 1), 2).view(*x.shape[:2], -1), "pool", self.generator)
        x = self.sites.drop(torch.baddbmm(self.bias, x, self.weight).relu(), "dense", self.generator)
        return self.sites.drop(torch.baddbmm(self.head_bias, x, self.head), "logits", self.generator)


class PlacedResidualMLP(StackedResidualMLP):
    """Deep residual networks with dropout of units at the site "branch", before the addition, or "sum", after it.

    Args:
        features: number of inputs.
        width: units of every layer.
        classes: number of classes.
        depth: number of blocks.
        seeds: seeds of the initial weights; the same for every arm.
        rates: one mapping an arm, from a site to the probability of dropping there in every block; 0 where it says
            nothing.

    Shape: as :class:`companion.models.StackedResidualMLP`.
    """

    def __init__(self, features: int, width: int, classes: int, depth: int, seeds: Sequence[int], rates: Rates) -> None:
        super().__init__(features, width, classes, seeds, [(0.0,) * depth] * len(rates))
        self.sites = _Sites(rates, ("branch", "sum"), len(seeds))

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(self.per_model(x), 0)
        for block in range(self.depth):
            branch = self.linear(F.layer_norm(x, x.shape[-1:]), 2 * block + 1).relu()
            branch = self.linear(branch, 2 * block + 2)
            x = x + self.sites.drop(branch, "branch", self.generator)
            x = self.sites.drop(x, "sum", self.generator)
        return self.linear(F.layer_norm(x, x.shape[-1:]), 2 * self.depth + 1)
