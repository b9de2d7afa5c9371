"""Stacked multi-layer perceptrons with batch normalization and dropout in one of four orders."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.layers.dropout import Dropout, dropout
from companion.masks import check_p
from companion.models.stacked import Stacked, start

__all__ = ["ORDERS", "StackedBatchNormMLP"]

# What follows each hidden linear layer; "head only" has its single dropout in front of the last linear layer.
ORDERS = {
    "dropout first": ("activation", "dropout", "norm"),
    "dropout inside": ("dropout", "norm", "activation"),
    "norm first": ("norm", "activation", "dropout"),
    "head only": ("norm", "activation"),
}
_ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


class StackedBatchNormMLP(Stacked):
    """Multi-layer perceptrons with a BatchNorm in every hidden layer, one for each arm and seed.

    Every model normalises by the statistics of its own batch in training, and by its own running statistics at
    evaluation. Weights start as in ``torch.nn.Linear``, uniform in ±1/sqrt(inputs), from a generator of the seed.

    Args:
        widths: units of every layer, inputs first, outputs last; at least one hidden layer.
        seeds: seeds of the initial weights; the same for every arm.
        p: one probability of dropping an arm.
        order: what follows each hidden linear layer: "dropout first" (activation, dropout, BatchNorm), "dropout
            inside" (dropout, BatchNorm, activation), "norm first" (BatchNorm, activation, dropout) or "head only"
            (BatchNorm, activation; one dropout before the last layer).
        activation: "relu", "gelu" or "tanh".
        momentum: weight of the newest batch in the running statistics, as in ``torch.nn.BatchNorm1d``.

    Shape: input (models, n, features) or (seeds, n, features), repeated for every arm; output (models, n, classes).
    """

    eps = 1e-5

    def __init__(
        self,
        widths: Sequence[int],
        seeds: Sequence[int],
        p: Sequence[float] = (0.0,),
        *,
        order: Literal["dropout first", "dropout inside", "norm first", "head only"] = "norm first",
        activation: Literal["relu", "gelu", "tanh"] = "relu",
        momentum: float = 0.1,
    ) -> None:
        super().__init__(seeds, len(p))
        if len(widths) < 3 or min(widths) < 1:
            raise ValueError(f"widths must hold inputs, hidden units and outputs, each at least 1, got {tuple(widths)}")
        if order not in ORDERS:
            raise ValueError(f"order must be one of {list(ORDERS)}, got {order!r}")
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(_ACTIVATIONS)}, got {activation!r}")
        self.widths, self.order, self.activation, self.momentum = tuple(widths), order, activation, momentum
        self.activate = _ACTIVATIONS[activation]()
        rates = torch.tensor([check_p(value) for value in p], dtype=torch.float64)
        self.register_buffer("p", rates.repeat_interleave(len(self.seeds))[:, None, None])
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        self.scales, self.shifts = nn.ParameterList(), nn.ParameterList()
        generators = self.generators()
        for inputs, outputs in pairwise(widths):
            drawn = start(generators, self.arms, inputs, inputs + 1, outputs)
            self.weights.append(nn.Parameter(drawn[:, :-1].contiguous()))
            self.biases.append(nn.Parameter(drawn[:, -1:].contiguous()))
        for layer, units in enumerate(widths[1:-1]):
            self.scales.append(nn.Parameter(torch.ones(self.models, units)))
            self.shifts.append(nn.Parameter(torch.zeros(self.models, units)))
            self.register_buffer(f"running_mean_{layer}", torch.zeros(self.models, units))
            self.register_buffer(f"running_var_{layer}", torch.ones(self.models, units))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.p, self.training, generator=self.generator) if bool(self.p.any()) else x

    def _normalise(self, x: Tensor, layer: int) -> Tensor:
        # The units of all models are the channels of one BatchNorm over n examples.
        together = x.transpose(0, 1).flatten(1)
        mean, variance = (getattr(self, f"running_{what}_{layer}").view(-1) for what in ("mean", "var"))
        scale, shift = self.scales[layer].view(-1), self.shifts[layer].view(-1)
        y = F.batch_norm(together, mean, variance, scale, shift, self.training, self.momentum, self.eps)
        return y.unflatten(1, (self.models, -1)).transpose(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.per_model(x)
        hidden = len(self.widths) - 2
        for layer in range(hidden):
            x = torch.baddbmm(self.biases[layer], x, self.weights[layer])
            for step in ORDERS[self.order]:
                if step == "norm":
                    x = self._normalise(x, layer)
                else:
                    x = self.activate(x) if step == "activation" else self._drop(x)
        if self.order == "head only":
            x = self._drop(x)
        return torch.baddbmm(self.biases[hidden], x, self.weights[hidden])

    @torch.no_grad()
    def single(self, model: int) -> nn.Sequential:
        """Copy of one model as ordinary modules, in evaluation mode: for what looks at BatchNorm layers of torch.

        Args:
            model: number of the model: ``arm * seeds + seed``.
        """
        if not 0 <= model < self.models:
            raise ValueError(f"model must be in [0, {self.models - 1}], got {model}")
        p = float(self.p[model])
        modules: list[nn.Module] = []
        for layer, (inputs, outputs) in enumerate(pairwise(self.widths)):
            linear = nn.Linear(inputs, outputs)
            linear.weight.copy_(self.weights[layer][model].T)
            linear.bias.copy_(self.biases[layer][model, 0])
            if layer == len(self.widths) - 2:
                modules += [Dropout(p), linear] if self.order == "head only" else [linear]
                break
            norm = nn.BatchNorm1d(outputs, eps=self.eps, momentum=self.momentum)
            norm.weight.copy_(self.scales[layer][model])
            norm.bias.copy_(self.shifts[layer][model])
            norm.running_mean.copy_(getattr(self, f"running_mean_{layer}")[model])
            norm.running_var.copy_(getattr(self, f"running_var_{layer}")[model])
            made = {"activation": _ACTIVATIONS[self.activation](), "dropout": Dropout(p), "norm": norm}
            modules += [linear, *(made[step] for step in ORDERS[self.order])]
        return nn.Sequential(*modules).eval()
