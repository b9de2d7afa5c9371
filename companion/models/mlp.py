"""Stacked multi-layer perceptrons with dropout."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from companion.layers.dropout import Dropout, NaiveDropout, VanillaDropout, dropout, naive_dropout, vanilla_dropout
from companion.masks import check_p
from companion.models.stacked import Stacked, start

__all__ = ["SCHEMES", "StackedMLP"]

SCHEMES = {"naive": naive_dropout, "vanilla": vanilla_dropout, "inverted": dropout}
_ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "linear": lambda x: x}
# The same as ordinary modules.
_DROPS = {"naive": NaiveDropout, "vanilla": VanillaDropout, "inverted": Dropout}
_ACTIVATES = {"relu": nn.ReLU, "tanh": nn.Tanh, "linear": nn.Identity}


class StackedMLP(Stacked):
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
        super().__init__(seeds, arms=len(p))
        if len(widths) < 2 or min(widths) < 1:
            raise ValueError(f"widths must hold at least inputs and outputs, each at least 1, got {tuple(widths)}")
        if scheme not in SCHEMES:
            raise ValueError(f"scheme must be one of {sorted(SCHEMES)}, got {scheme!r}")
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(_ACTIVATIONS)}, got {activation!r}")
        self.widths, self.scheme, self.activation = tuple(widths), scheme, activation
        sites = len(widths) - 1
        rates = torch.tensor([self._rates(entry, sites) for entry in p], dtype=torch.float64)
        self.register_buffer("p", rates.repeat_interleave(len(seeds), 0)[:, :, None, None])  # models, sites, 1, 1
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        generators = self.generators()
        for inputs, outputs in pairwise(widths):
            drawn = start(generators, self.arms, inputs, inputs + 1, outputs)
            self.weights.append(nn.Parameter(drawn[:, :-1].contiguous()))
            if bias:
                self.biases.append(nn.Parameter(drawn[:, -1:].contiguous()))

    @staticmethod
    def _rates(entry: float | Sequence[float], sites: int) -> list[float]:
        if isinstance(entry, int | float):
            return [0.0] + [check_p(entry)] * (sites - 1)
        if len(entry) != sites:
            raise ValueError(f"p must have {sites} entries an arm (the input and each hidden layer), got {len(entry)}")
        return [check_p(value) for value in entry]

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

    def hidden(self, x: Tensor) -> list[Tensor]:
        """Activations of every hidden layer, after dropout: a list of (models, n, units)."""
        x = self._drop(self.per_model(x), 0)
        activations = []
        for layer in range(len(self.weights) - 1):
            x = self._drop(self.activate(self.linear(x, layer)), layer + 1)
            activations.append(x)
        return activations

    def forward(self, x: Tensor) -> Tensor:
        last = len(self.weights) - 1
        return self.linear(self.hidden(x)[-1] if last else self._drop(self.per_model(x), 0), last)

    @torch.no_grad()
    def single(self, model: int) -> nn.Sequential:
        """Copy of one model as ordinary modules, in evaluation mode: for what takes an ordinary network.

        Args:
            model: number of the model: ``arm * seeds + seed``.
        """
        if not 0 <= model < self.models:
            raise ValueError(f"model must be in [0, {self.models - 1}], got {model}")
        modules: list[nn.Module] = []
        for layer, (inputs, outputs) in enumerate(pairwise(self.widths)):
            if (p := float(self.p[model, layer])) > 0:
                modules.append(_DROPS[self.scheme](p))
            linear = nn.Linear(inputs, outputs, bias=len(self.biases) > 0)
            linear.weight.copy_(self.weights[layer][model].T)
            if len(self.biases):
                linear.bias.copy_(self.biases[layer][model, 0])
            modules.append(linear)
            if layer < len(self.widths) - 2:
                modules.append(_ACTIVATES[self.activation]())
        return nn.Sequential(*modules).eval()
