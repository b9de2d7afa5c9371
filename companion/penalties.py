r"""The rest of the family: L1 with its proximal step, L2, max-norm, early stopping.

With weights w, loss gradient g and learning rate :math:`\eta`, one step of plain gradient descent is

=============== =================================================================== ============================
what            step                                                                done by
=============== =================================================================== ============================
L2 in the loss  :math:`w - \eta(g + \lambda w)`                                     :func:`l2_penalty`
decoupled decay :math:`(1 - \eta\lambda)\,w - \eta g`                               ``torch.optim.AdamW``
L1 in the loss  :math:`w - \eta(g + \lambda\,\mathrm{sign}\,w)`                     :func:`l1_penalty`
L1 by its prox  :math:`\mathrm{sign}(z) \max(|z| - \eta\lambda, 0),\ z = w-\eta g`  :func:`soft_threshold_`
max-norm        :math:`z \min(1, c / \lVert z \rVert)` for each unit                :func:`max_norm_`
=============== =================================================================== ============================

The first two are the same for plain gradient descent only: momentum accumulates the penalty's gradient and Adam divides
by its size, the decoupled decay knows neither. L1 in the loss makes weights small but never exactly zero; its proximal
step does.
"""

import copy
import math
from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

__all__ = ["EarlyStopping", "l1_penalty", "l2_penalty", "max_norm_", "soft_threshold_", "weights_of"]

_Parameters = Tensor | Iterable[Tensor] | nn.Module


def weights_of(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that a penalty is for: weight matrices and kernels, neither biases nor scales of normalisations.

    A parameter counts if it has two dimensions or more, requires a gradient, and no part of its name starts or ends
    with ``bias`` (as in ``bias_ih_l0``, ``in_proj_bias``, ``biases.0``). A parameter that two layers share counts once.

    Args:
        model: any module.
    """
    return [
        parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        and parameter.ndim >= 2
        and not any(part.startswith("bias") or part.endswith("bias") for part in name.split("."))
    ]


def _tensors(parameters: _Parameters, name: str = "parameters") -> list[Tensor]:
    if isinstance(parameters, nn.Module):
        return weights_of(parameters)
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} must be a tensor, an iterable of tensors or a module, got {type(tensor).__name__}")
        if not tensor.is_floating_point():
            raise TypeError(f"{name} must be floating-point tensors, got {tensor.dtype}")
    return tensors


def _amount(value: float | Tensor, name: str) -> float | Tensor:
    """Returns a number or a tensor that is neither negative nor NaN, or raises an error that names it."""
    if isinstance(value, bool) or not isinstance(value, int | float | Tensor):
        raise TypeError(f"{name} must be a float or a tensor, got {type(value).__name__}")
    if not bool((value >= 0).all() if isinstance(value, Tensor) else value >= 0):
        raise ValueError(f"{name} must not be negative, got {value}")
    return value


def _penalty(parameters: _Parameters, strength: float | Tensor, power: int) -> Tensor:
    tensors = _tensors(parameters)
    if not tensors:
        raise ValueError("parameters must hold at least one tensor, got none")
    strength = _amount(strength, "strength")
    models = strength.ndim if isinstance(strength, Tensor) else 0
    if models and any(tensor.shape[:models] != strength.shape for tensor in tensors):
        raise ValueError(f"parameters must begin with the axes of strength, {tuple(strength.shape)}")
    terms = []
    for tensor in tensors:
        tensor = tensor.to(torch.promote_types(tensor.dtype, torch.float32))  # a sum of 16-bit numbers overflows
        size = tensor.abs() if power == 1 else tensor.square()
        axes = tuple(range(models, tensor.ndim))
        terms.append(size.sum(axes) if axes else size)
    total = sum(term.to(terms[0].device) for term in terms)
    return strength * total if power == 1 else 0.5 * strength * total


def l1_penalty(parameters: _Parameters, strength: float | Tensor = 1.0) -> Tensor:
    r"""The penalty :math:`\lambda \sum |w|`, to be added to a loss.

    Its gradient is :math:`\lambda\,\mathrm{sign}\,w`, and 0 at :math:`w = 0`. Gradient steps jump over zero: for exact
    zeros leave the penalty out of the loss and call :func:`soft_threshold_` after each step.

    Args:
        parameters: what is penalised: a tensor, an iterable of tensors, or a module, which stands for
            :func:`weights_of` it (no biases).
        strength: :math:`\lambda`, not negative. A tensor gives one strength a model to parameters with a leading model
            axis, and the result has one entry a model.

    Returns:
        Tensor without dimensions, or of the shape of ``strength``; differentiable; float32 for 16-bit parameters.

    Raises:
        TypeError: if ``parameters`` are not floating-point tensors.
        ValueError: if there are none, ``strength`` is negative, or the parameters' shapes do not begin with its shape.

    Cost: one pass forward, one backward; the weights themselves are kept for it; no random numbers.

    Reference: Tibshirani (1996).
    """
    return _penalty(parameters, strength, 1)


def l2_penalty(parameters: _Parameters, strength: float | Tensor = 1.0) -> Tensor:
    r"""The penalty :math:`\frac{\lambda}{2} \sum w^2`, to be added to a loss.

    Its gradient is :math:`\lambda w`. With plain gradient descent one step is that of decoupled decay,
    :math:`(1 - \eta\lambda)\,w - \eta g`. With momentum :math:`\mu` the two settle at different weights (on
    :math:`\frac{h}{2}(w-1)^2` at :math:`h/(h + \lambda)`, and decoupled at :math:`h/(h + (1-\mu)\lambda)`), and Adam
    shrinks weights with large gradients hardly at all.

    Args:
        parameters: as in :func:`l1_penalty`.
        strength: :math:`\lambda`, not negative; what the optimizers of torch call ``weight_decay``. A tensor gives one
            strength a model, as in :func:`l1_penalty`.

    Returns:
        Tensor without dimensions, or of the shape of ``strength``; differentiable.

    Raises:
        TypeError, ValueError: as :func:`l1_penalty`.

    Cost: one pass; the weights themselves are kept for the backward pass; no random numbers.

    Reference: Krogh & Hertz (1992); Loshchilov & Hutter (2019), sec. 2, on the difference from decoupled decay.
    """
    return _penalty(parameters, strength, 2)


@torch.no_grad()
def soft_threshold_(parameters: _Parameters, amount: float | Tensor) -> Tensor | list[Tensor]:
    r"""The proximal step of L1, in place: :math:`w \leftarrow \mathrm{sign}(w) \max(|w| - a, 0)`.

    It is the minimiser of :math:`\frac12 (u-w)^2 + a|u|`. Weights of at most ``amount`` become exactly zero; the others
    keep their sign and move towards zero by ``amount``. Call it after the optimizer's step on the loss without L1.

    Args:
        parameters: what is thresholded: a tensor, an iterable of tensors, or a module, which stands for
            :func:`weights_of` it.
        amount: a, not negative: learning rate times :math:`\lambda`. A tensor must broadcast against every parameter.

    Returns:
        The tensor that was given, changed; a list of the tensors if several were given.

    Raises:
        TypeError: if ``parameters`` are not floating-point tensors.
        ValueError: if ``amount`` is negative or NaN.

    Cost: two passes and one temporary tensor; no random numbers.

    Reference: Parikh & Boyd (2014), sec. 6.5.
    """
    amount = _amount(amount, "amount")
    tensors = _tensors(parameters)
    for tensor in tensors:
        tensor.sub_(tensor.clamp(-amount, amount))  # w - w is exactly 0
    return parameters if isinstance(parameters, Tensor) else tensors


@torch.no_grad()
def max_norm_(
    weight: Tensor | Iterable[Tensor], max_norm: float | Tensor, axis: int | tuple[int, ...] = 0
) -> Tensor | list[Tensor]:
    r"""Cuts back the weights into each unit, in place: :math:`w_i \leftarrow w_i \min(1, c/\lVert w_i\rVert_2)`.

    Units within the limit are not touched, a unit of zeros stays one. Call it after each step of the optimizer.

    Args:
        weight: Tensor of 2 or more dimensions, or an iterable of them. A unit's incoming weights are all entries with
            the same index on ``axis``.
        max_norm: c, not negative; a tensor must broadcast against the norms, which keep ``weight``'s number of
            dimensions. Usual with dropout: 3 to 4.
        axis: the axis or axes that number the units. The default 0 is right for ``nn.Linear`` (out, in), ``nn.Conv2d``
            (out, in, height, width) and the rows of an ``nn.Embedding``; ``nn.ConvTranspose2d`` (in, out, ...) needs 1;
            stacked weights (models, in, out) need ``(0, 2)``.

    Returns:
        The tensor that was given, changed; a list of the tensors if several were given.

    Raises:
        TypeError: if ``weight`` is not a floating-point tensor.
        ValueError: if ``max_norm`` is negative or NaN, or ``axis`` is not among the axes of ``weight`` or leaves none
            to take the norm over.

    Cost: two passes; one number a unit; no random numbers.

    Reference: Srivastava et al. (2014), sec. 5.1.
    """
    max_norm = _amount(max_norm, "max_norm")
    if isinstance(weight, nn.Module):
        raise TypeError(
            "weight must be a tensor or an iterable of tensors, got a module: give each layer's weight and axis"
        )
    tensors = _tensors(weight, "weight")
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    for tensor in tensors:
        if not all(-tensor.ndim <= a < tensor.ndim for a in axes):
            raise ValueError(f"axis must be among the {tensor.ndim} axes of weight, got {axis}")
        incoming = [a for a in range(tensor.ndim) if a not in {b % tensor.ndim for b in axes}]
        if not incoming:
            raise ValueError(
                f"axis must leave an axis for the norm: weight has the shape {tuple(tensor.shape)}, got {axis}"
            )
        wide = torch.promote_types(tensor.dtype, torch.float32)  # squares of 16-bit numbers overflow
        norm = torch.linalg.vector_norm(tensor, dim=incoming, keepdim=True, dtype=wide)
        scale = (max_norm / norm.clamp(min=torch.finfo(wide).tiny)).clamp(max=1)
        tensor.mul_(scale)
    return weight if isinstance(weight, Tensor) else tensors


class EarlyStopping:
    """Stops when a validation metric has not improved for a while, and puts the best weights back.

    ::

        stopping = EarlyStopping(patience=5)
        for epoch in range(100):
            ...
            if stopping.step(validation_loss, model):
                break
        stopping.restore(model)  # for the case that the epochs ran out first

    A metric improves if it is better than the best so far by more than ``min_delta``. NaN never improves: a run that
    diverges is stopped like one that stands still.

    Models that are trained together (each parameter and buffer has a leading model axis) give one metric each: every
    model then keeps the weights of its own best check and stops on its own, exactly as if it were alone; ``step``
    answers True when all have stopped.

    Args:
        patience: number of checks in a row without improvement after which to stop, at least 1.
        min_delta: by how much a metric must be better to count, not negative.
        mode: "min" if a small metric is good (a loss), "max" if a large one is (an accuracy).
        device: where the best weights are kept; default: where the model's are. ``"cpu"`` saves memory on a GPU.

    Raises:
        TypeError, ValueError: if an argument is not one of these.

    Cost: one copy of the model's ``state_dict``, so of parameters and persistent buffers; no random numbers.

    Reference: Goodfellow et al. (2016), sec. 7.8, algorithm 7.1.
    """

    def __init__(
        self,
        patience: int = 10,
        min_delta: float = 0.0,
        mode: Literal["min", "max"] = "min",
        *,
        device: torch.device | str | None = None,
    ) -> None:
        if isinstance(patience, bool) or not isinstance(patience, int):
            raise TypeError(f"patience must be an int, got {type(patience).__name__}")
        if patience < 1:
            raise ValueError(f"patience must be at least 1, got {patience}")
        if mode not in ("min", "max"):
            raise ValueError(f'mode must be "min" or "max", got {mode!r}')
        self.patience, self.min_delta, self.mode, self.device = patience, _amount(min_delta, "min_delta"), mode, device
        self.checks = 0
        self._best: Tensor | None = None  # these three: no dimensions, or one entry a model
        self._best_check: Tensor | None = None
        self._waited: Tensor | None = None
        self._weights: dict[str, Any] | None = None

    @property
    def best(self) -> float | Tensor:
        """The best metric so far; a tensor if there are several models. Before the first check NaN."""
        return math.nan if self._best is None else _plain(self._best)

    @property
    def best_check(self) -> int | Tensor:
        """The check of the best metric, counted from 0; -1 if no metric has improved yet."""
        return -1 if self._best_check is None else _plain(self._best_check)

    @property
    def stopped(self) -> bool | Tensor:
        """Whether patience has run out; a tensor if there are several models."""
        return False if self._waited is None else _plain(self._waited >= self.patience)

    def step(self, metric: float | Tensor, model: nn.Module) -> bool:
        """Records one check. True means stop, and the best weights are then back in ``model``.

        Args:
            metric: a number, or Tensor[models].
            model: what is trained; its ``state_dict`` is copied when the metric has improved.

        Raises:
            ValueError: if the metric's shape changes from check to check, or is that of several models and an entry of
                the ``state_dict`` has no such leading axis.
        """
        metric = torch.as_tensor(metric, dtype=torch.float64, device="cpu").detach()
        if metric.ndim > 1:
            raise ValueError(f"metric must be a number or have the shape (models,), got {tuple(metric.shape)}")
        if self._best is None:
            self._best = torch.full_like(metric, math.inf if self.mode == "min" else -math.inf)
            self._best_check = torch.full_like(metric, -1, dtype=torch.int64)
            self._waited = torch.zeros_like(metric, dtype=torch.int64)
        elif metric.shape != self._best.shape:
            raise ValueError(f"metric must have the shape {tuple(self._best.shape)}, got {tuple(metric.shape)}")
        gain = self._best - metric if self.mode == "min" else metric - self._best
        running = self._waited < self.patience
        improved = (gain > self.min_delta) & running  # a comparison with NaN is False
        if bool(improved.any()):
            self._keep(model, improved)
        self._best = torch.where(improved, metric, self._best)
        self._best_check = torch.where(improved, self.checks, self._best_check)
        self._waited = torch.where(improved, 0, self._waited + running)
        self.checks += 1
        stop = bool((self._waited >= self.patience).all())
        if stop:
            self.restore(model)
        return stop

    def _keep(self, model: nn.Module, improved: Tensor) -> None:
        new = {name: self._copy(value) for name, value in model.state_dict().items()}
        models = improved.shape
        for name, value in new.items():
            if models and not (isinstance(value, Tensor) and value.shape[:1] == models):
                raise ValueError(f"model must have a leading axis of {models[0]} models in {name!r}")
        if models and self._weights is not None:
            for name, value in self._weights.items():
                new[name] = _rows(improved, new[name], value)
        self._weights = new

    def _copy(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return copy.deepcopy(value)
        return value.detach().to(self.device or value.device, copy=True)

    def restore(self, model: nn.Module) -> None:
        """Puts the best weights and buffers into ``model``. A model whose metric has never improved is left alone."""
        if self._weights is None:
            return
        weights, ever = self._weights, self._best_check >= 0
        if not bool(ever.all()):
            weights = {name: _rows(ever, weights[name], now) for name, now in model.state_dict().items()}
        model.load_state_dict(weights)

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on after an interruption, the best weights included; for ``torch.save``."""
        names = ("checks", "_best", "_best_check", "_waited", "_weights")
        return {name.lstrip("_"): copy.deepcopy(getattr(self, name)) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what :meth:`state_dict` gave; ``patience``, ``min_delta`` and ``mode`` stay as constructed."""
        state = copy.deepcopy(state)
        self.checks, self._best, self._best_check = state["checks"], state["best"], state["best_check"]
        self._waited, self._weights = state["waited"], state["weights"]


def _rows(chosen: Tensor, there: Tensor, elsewhere: Tensor) -> Tensor:
    """The models that are chosen from ``there``, the others from ``elsewhere``."""
    chosen = chosen.view(-1, *(1,) * (there.ndim - 1)).to(there.device)
    return torch.where(chosen, there, elsewhere.to(there.device))


def _plain(value: Tensor) -> Any:
    return value.clone() if value.ndim else value.item()
