r"""Variance shift: how dropout upsets the BatchNorm behind it. Predict it, measure it, recalibrate.

All ratios here are variance at EVALUATION divided by variance in TRAINING, so that dropout makes them smaller than 1.

A BatchNorm stores the variance of its input as it is in training, and divides by it at evaluation. For a unit of mean c
and variance v, inverted dropout keeps the mean but not the variance, :math:`(c^2 + v)/(1-p) - c^2` instead of v. What
comes out of the BatchNorm then has at evaluation not the variance 1 but

.. math:: \Delta = \frac{v}{(c^2 + v)/(1-p) - c^2}

which is :math:`1 - p` for a unit of zero mean, and less for any other: 0.405 for a ReLU of N(0, 1) at p = 0.5.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_map

from companion.masks import check_p
from companion.uncertainty import dropout_active

__all__ = ["VarianceShift", "measure_shift", "moments", "predicted_shift", "recalibrate"]

Forward = Callable[[nn.Module, Any], Any]

# --- predict ----------------------------------------------------------------------------------------------------------

# Mean and mean square of the activation of a standard normal number. For GELU, x Phi(x), both follow from Stein's lemma
# E[x f(x)] = E[f'(x)]: the mean is E[phi(x)], the mean square E[Phi^2 + 2 x Phi phi], with Phi(x) uniform in [0, 1].
_MOMENTS = {
    "identity": (0.0, 1.0),
    "relu": (1 / math.sqrt(2 * math.pi), 1 / 2),
    "gelu": (1 / (2 * math.sqrt(math.pi)), 1 / 3 + 1 / (2 * math.pi * math.sqrt(3))),
}


def moments(activation: Literal["identity", "relu", "gelu"]) -> tuple[float, float]:
    """Mean and variance of an activation whose input is standard normal, in closed form.

    Args:
        activation: "identity", "relu" or "gelu" (the exact one, x times the normal distribution function).

    Returns:
        Mean and variance: (0, 1), (0.399, 0.341) and (0.282, 0.346), to three digits.
    """
    if activation not in _MOMENTS:
        raise ValueError(f"activation must be one of {sorted(_MOMENTS)}, got {activation!r}")
    mean, square = _MOMENTS[activation]
    return mean, square - mean**2


def predicted_shift(
    p: float | Tensor,
    activation: Literal["identity", "relu", "gelu"] | None = None,
    *,
    mean: float | Tensor | None = None,
    variance: float | Tensor | None = None,
    weight: Tensor | None = None,
    correlation: float | Tensor = 0.0,
) -> float | Tensor:
    r"""The ratio Var at evaluation / Var in training of what a BatchNorm behind inverted dropout receives.

    Directly behind the dropout, for units of mean c and variance v:

    .. math:: \Delta = \frac{v}{(c^2 + v)/(1-p) - c^2}

    With a linear layer w in between, and the correlation :math:`\rho` between its inputs, the masks add variance to the
    sum but leave the covariances alone:

    .. math:: \Delta = \frac{V}{V + \frac{p}{1-p} \sum_j w_j^2 (c_j^2 + v_j)}, \qquad
        V = (1-\rho) \sum_j w_j^2 v_j + \rho \Big(\sum_j w_j \sqrt{v_j}\Big)^2

    If all inputs have the same moments this depends on w through :math:`A = (\sum w)^2 / \sum w^2` only, which grows
    with the width where the inputs are correlated: wide layers suffer less.

    Args:
        p: probability of DROPPING, in [0, 1]; a number, or a tensor that broadcasts against the moments.
        activation: what is dropped, with a standard normal input: "relu", "gelu" or "identity" (zero mean). Give
            either this or ``mean`` and ``variance``.
        mean: c, the mean of what is dropped; a number, or a tensor with one entry a unit. Default: 0.
        variance: v, its variance, not negative; a number, or a tensor with one entry a unit.
        weight: Tensor[..., inputs], the weights of a linear layer between dropout and BatchNorm; flatten a kernel.
            Default: none, the units are normalised one by one.
        correlation: :math:`\rho`, in [-1, 1], the same between any two inputs of ``weight``; a number, or a tensor that
            broadcasts against the result.

    Returns:
        A number, or a tensor of the shape that ``p``, the moments and ``weight`` without its last axis broadcast to,
        in float64. At p = 0 it is 1. At p = 1 nothing arrives in training and it is infinite, as it is with a layer
        (while the formula tends to 0). A unit that varies neither here nor there gives NaN.

    Raises:
        TypeError: if an argument is neither a number nor a tensor.
        ValueError: if ``p`` or another argument is out of range, or not exactly one of ``activation`` and
            ``variance`` is given.

    Cost: arithmetic on the arguments; no random numbers.

    Reference: Li et al. (2019), sec. 3, where p is the probability of KEEPING and A is written
    :math:`d (\cos\theta)^2` with d inputs.
    """
    p = check_p(p)
    if (activation is None) == (variance is None) or (activation is not None and mean is not None):
        raise ValueError("give either activation, or variance (with mean, if it is not 0)")
    if activation is not None:
        mean, variance = moments(activation)
    given = {"mean": 0.0 if mean is None else mean, "variance": variance, "correlation": correlation}
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float | Tensor):
            raise TypeError(f"{name} must be a float or a tensor, got {type(value).__name__}")
    numbers = weight is None and not any(isinstance(value, Tensor) for value in (p, *given.values()))
    p, c, v, rho = (torch.as_tensor(value, dtype=torch.float64) for value in (p, *given.values()))
    if not bool((v >= 0).all()):
        raise ValueError(f"variance must not be negative, got {variance}")
    if not bool(((rho >= -1) & (rho <= 1)).all()):
        raise ValueError(f"correlation must be in [-1, 1], got {correlation}")
    square = c**2 + v
    if weight is not None:
        if not isinstance(weight, Tensor) or weight.ndim < 1:
            raise TypeError(f"weight must be a Tensor[..., inputs], got {weight!r}")
        w = weight.detach().double()
        v = (1 - rho) * (w**2 * v).sum(-1) + rho * (w * v.sqrt()).sum(-1) ** 2
        square = (w**2 * square).sum(-1)
    elif bool((rho != 0).any()):
        raise ValueError("correlation needs weight: without a layer between, units are normalised one by one")
    in_training = torch.where(p < 1, v + p / (1 - p) * square, 0)
    ratio = v / in_training
    return ratio.item() if numbers else ratio


# --- measure ----------------------------------------------------------------------------------------------------------


class _Moments:
    """Mean and variance of each channel of a stream of tensors (N, C, *), as if all were one tensor."""

    def __init__(self) -> None:
        self.count, self.calls = 0, 0  # elements of a channel, tensors
        self.mean = self.deviation = torch.zeros((), dtype=torch.float64)  # deviation: sum of squared distances

    def add(self, x: Tensor) -> None:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        count = x.numel() // x.shape[1]
        if count == 0:
            return
        wide = x.detach().to(torch.promote_types(x.dtype, torch.float32))
        variance, mean = torch.var_mean(wide, dim=axes, correction=0)
        variance, mean = variance.double().cpu(), mean.double().cpu()
        # Two parts put together: the distance between their means counts too (Chan, Golub & LeVeque 1983).
        share = count / (self.count + count)
        step = mean - self.mean
        self.deviation = self.deviation + count * variance + self.count * share * step**2
        self.mean = self.mean + share * step
        self.count, self.calls = self.count + count, self.calls + 1

    @property
    def variance(self) -> Tensor:
        """Unbiased, as BatchNorm stores it; 0 if there is one element only."""
        return self.deviation / max(self.count - 1, 1)


@dataclass(frozen=True)
class VarianceShift:
    """What one BatchNorm receives with dropout on and with dropout off; tensors have one entry a channel.

    Args:
        name: of the layer, as in ``model.named_modules()``.
        count: elements of a channel that the moments with dropout off are of; 0 if the layer was not called.
        mean_on, mean_off: mean of the layer's input with dropout on and off.
        variance_on, variance_off: its variance (unbiased).
        running_variance: what the layer has stored; None if it stores nothing, and so normalises by the batch at
            evaluation too.
    """

    name: str
    count: int
    mean_on: Tensor
    mean_off: Tensor
    variance_on: Tensor
    variance_off: Tensor
    running_variance: Tensor | None

    @property
    def ratios(self) -> Tensor:
        """Var with dropout off / Var with dropout on, of each channel: what :func:`predicted_shift` predicts."""
        return self.variance_off / self.variance_on

    @property
    def ratio(self) -> float:
        """Median of :attr:`ratios` over the channels; channels that never vary are left out."""
        return _median(self.ratios)

    @property
    def running_ratio(self) -> float:
        """Median of Var with dropout off / stored variance: that of the layer's normalised output at evaluation.

        Channels that never vary are left out.
        """
        if self.running_variance is None:
            return math.nan
        return _median((self.variance_off / self.running_variance).where(self.variance_on > 0, math.nan))

    @property
    def mean_shift(self) -> float:
        """Median of the distance between the two means, in standard deviations with dropout on."""
        return _median((self.mean_off - self.mean_on).abs() / self.variance_on.sqrt())


def _median(values: Tensor) -> float:
    return values.double().nanquantile(0.5).item()


def measure_shift(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    forward: Forward | None = None,
    also: Sequence[type[nn.Module]] = (),
) -> list[VarianceShift]:
    """Measures the input of every BatchNorm of a model with dropout on and with dropout off.

    Each batch is run twice, so that both see the same examples. Everything but the dropout-like modules (those that
    :func:`companion.uncertainty.dropout_active` finds) is in evaluation mode both times: every BatchNorm normalises by
    what it has stored, as it does at evaluation, and as it does in training once what it stores has settled. A
    difference is then the work of dropout alone. So measure a trained model: in a new one the stored mean 0 and
    variance 1 are nobody's, and what reaches the second BatchNorm is not what will reach it.

    Nothing is left changed: training flags, buffers (running statistics and all others), gradients, hooks and the
    state of the random generators are afterwards what they were, after an exception too. Masks are drawn from the
    global random state; because it is put back, a second call draws the same ones.

    Args:
        model: any module; a layer called several times is measured over all its calls.
        batches: iterable of batches, walked through once. A batch is the model's input, or a tuple or list with the
            input first, (x, y) say; an input that is itself a tuple is taken as several arguments.
        forward: called as ``forward(model, batch)`` instead, for any other form of batch.
        also: further classes of modules whose own flag switches dropout on.

    Returns:
        One row for each BatchNorm layer (1d, 2d, 3d, synchronised), in the order of ``model.named_modules()``. Moments
        are of the elements of all batches together.

    Raises:
        TypeError: if ``model`` is not a module.
        ValueError: if there are no batches, or no BatchNorm of the model was called.

    Warns:
        UserWarning: if dropout is found that cannot be switched on, or none at all.

    Cost: two passes over the batches without gradients, a few numbers a channel; the random numbers of one pass.

    Reference: Li et al. (2019), sec. 4, for the ratio in networks.
    """
    model = _check_model(model)
    layers = _batchnorms(model)
    with _nothing_changed(model), torch.no_grad():
        _evaluation_mode(model)
        with dropout_active(model, also=also):
            switches = [module for module in model.modules() if module.training]
        sides = {True: {layer: _Moments() for layer in layers}, False: {layer: _Moments() for layer in layers}}
        seen: dict[nn.Module, _Moments] = {}
        with _listening(layers, lambda layer, x: seen[layer].add(x)):
            for batch in _some(batches):
                for on, moments_of in sides.items():
                    seen = moments_of
                    for module in switches:
                        module.training = on
                    _run(model, tree_map(_copy, batch) if on else batch, forward)  # a model may work on it in place
    _check_called(layers, sides[False])
    return [
        VarianceShift(
            name=name,
            count=sides[False][layer].count,
            mean_on=sides[True][layer].mean,
            mean_off=sides[False][layer].mean,
            variance_on=sides[True][layer].variance,
            variance_off=sides[False][layer].variance,
            running_variance=None if layer.running_var is None else layer.running_var.detach().cpu().clone(),
        )
        for layer, name in layers.items()
    ]


# --- recalibrate ------------------------------------------------------------------------------------------------------


def recalibrate(
    model: nn.Module, batches: Iterable[Any], *, exact: bool = False, forward: Forward | None = None
) -> list[str]:
    """Replaces the running mean and variance of every BatchNorm by those of its input with dropout OFF.

    They are the mean and the variance of all elements of all batches together, the distances between the batches' means
    included, not an average of the batches' variances. What a BatchNorm receives depends on the BatchNorms before it:

    * by default, in one pass, every layer normalises by the statistics of the batches so far (of the first batch alone
      to begin with). The first BatchNorm gets exactly what one huge batch would give it; later ones are off by what the
      early batches were off, which is little if batches are large and drawn at random;
    * with ``exact`` each layer is given its statistics before the next one is measured, in as many passes as there are
      layers. At evaluation every layer's output then has exactly the mean and variance that it should, over the same
      batches.

    This removes the variance shift and leaves the weights alone. Whether predictions get better is another matter: the
    shift also acts as a temperature.

    Only ``running_mean``, ``running_var`` and ``num_batches_tracked`` (the number of batches used) change; momentum,
    training flags and the state of the random generators do not. After an exception nothing has changed.

    Args:
        model: any module. BatchNorms without running statistics are passed over, as they have nothing to recalibrate,
            and so are those that the model does not call.
        batches: iterable of batches, in the forms that :func:`measure_shift` takes; the training examples, with their
            augmentation if there is one. ``exact`` walks through them several times.
        exact: whether to take one pass a layer.
        forward: called as ``forward(model, batch)``, for any other form of batch.

    Returns:
        The names of the layers recalibrated, in the order in which the model calls them.

    Raises:
        TypeError: if ``model`` is not a module, or ``exact`` is asked for and ``batches`` is an iterator.
        ValueError: if there are no batches, no BatchNorm was called, one has received fewer than 2 elements a channel,
            or its input is not finite.

    Cost: one pass over the batches without gradients, with ``exact`` one a layer; no random numbers.

    Reference: Ioffe & Szegedy (2015), algorithm 2, whose population statistics these are.
    """
    model = _check_model(model)
    if exact and isinstance(batches, Iterator):
        raise TypeError("batches must be a list or a loader if exact, got an iterator, which ends after one pass")
    names = {layer: name for layer, name in _batchnorms(model).items() if layer.running_mean is not None}
    found: dict[nn.Module, _Moments] = {}  # in the order in which the layers are called

    def follow(layer: nn.Module, x: Tensor) -> None:
        found.setdefault(layer, _Moments()).add(x)
        if not exact and found[layer].count:
            _store(layer, found[layer])  # at evaluation a BatchNorm normalises by what it has stored

    with _nothing_changed(model), torch.no_grad():
        _evaluation_mode(model)
        with _listening(names, follow):
            _run_all(model, batches, forward)
        if exact:
            for position, layer in enumerate(list(found)):
                if position:  # what reaches the first layer depends on no other
                    found[layer] = _Moments()
                    with _listening([layer], follow):
                        _run_all(model, batches, forward)
                _store(layer, found[layer])
    _check_called(names, found)
    for layer, moments_of in found.items():
        if moments_of.count < 2:
            raise ValueError(f"batches must give {names[layer]!r} 2 or more elements a channel, got {moments_of.count}")
        if not bool((moments_of.mean.isfinite() & moments_of.deviation.isfinite()).all()):
            raise ValueError(f"batches must be finite where they reach {names[layer]!r}, got infinity or NaN")
    for layer, moments_of in found.items():
        _store(layer, moments_of)
    return [names[layer] for layer in found]


def _store(layer: nn.Module, found: _Moments) -> None:
    with torch.no_grad():
        layer.running_mean.copy_(found.mean)
        layer.running_var.copy_(found.variance)
        if layer.num_batches_tracked is not None:
            layer.num_batches_tracked.fill_(found.calls)


# --- running a model without a trace ----------------------------------------------------------------------------------


def _check_model(model: nn.Module) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    return getattr(model, "_orig_mod", model)  # a compiled model would not see hooks


def _batchnorms(model: nn.Module) -> dict[nn.Module, str]:
    return {module: name for name, module in model.named_modules() if isinstance(module, _BatchNorm)}


def _check_called(layers: dict[nn.Module, str], found: dict[nn.Module, _Moments]) -> None:
    if layers and not any(found[layer].count for layer in layers if layer in found):
        raise ValueError("model must call a BatchNorm layer of its own for batches that are not empty, but called none")


def _evaluation_mode(model: nn.Module) -> None:
    # Flag by flag: a model's own train() may do more than set flags.
    for module in model.modules():
        module.training = False


@contextmanager
def _nothing_changed(model: nn.Module) -> Iterator[None]:
    """Puts training flags, buffers and random states back to what they were, after an exception too."""
    flags = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    places = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    with torch.random.fork_rng([place for place in places if place.type == "cuda"]):
        try:
            yield
        finally:
            for module, training in flags:
                module.training = training
            with torch.no_grad():
                for module, name, buffer, value in buffers:
                    module._buffers[name] = buffer
                    if not torch.equal(buffer, value):  # writing counts as a change for a graph that waits for backward
                        buffer.copy_(value)


@contextmanager
def _listening(layers: Iterable[nn.Module], heard: Callable[[nn.Module, Tensor], None]) -> Iterator[None]:
    """Calls ``heard(layer, input)`` before each layer runs."""

    def hook(layer: nn.Module, args: tuple, kwargs: dict) -> None:
        heard(layer, args[0] if args else kwargs["input"])

    hooks = [layer.register_forward_pre_hook(hook, with_kwargs=True) for layer in layers]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()


def _some(batches: Iterable[Any]) -> Iterator[Any]:
    if isinstance(batches, Tensor):  # its rows would be taken for batches
        raise TypeError("batches must be an iterable of batches, got one tensor: put it in a list")
    if not isinstance(batches, Iterable):
        raise TypeError(f"batches must be an iterable of batches, got {type(batches).__name__}")
    empty = True
    for batch in batches:
        empty = False
        yield batch
    if empty:
        raise ValueError("batches must hold at least one batch, got none (an iterator can be walked through only once)")


def _run_all(model: nn.Module, batches: Iterable[Any], forward: Forward | None) -> None:
    for batch in _some(batches):
        _run(model, batch, forward)


def _run(model: nn.Module, batch: Any, forward: Forward | None) -> None:
    if forward is not None:
        forward(model, batch)
        return
    inputs = batch[0] if isinstance(batch, tuple | list) else batch
    model(*inputs) if isinstance(inputs, tuple | list) else model(inputs)


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
