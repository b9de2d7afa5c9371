"""Predictions of a model whose dropout stays on: mean, spread and entropies of many passes."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from companion.uncertainty.active import Listener, flags_on, flags_set, random_modules, unreachable_names, warn_of
from companion.uncertainty.random_state import changed, own_stream, random_state, set_random_state
from companion.uncertainty.vectorised import copied, is_tensor, passes_at_once


@dataclass(frozen=True)
class MCPrediction:
    """What T stochastic passes predict.

    Attributes:
        mean: mean over the passes, of the model's output (regression) or of its softmax (classification).
        std: standard deviation over the passes, with divisor T (0 for a single pass).
        predictive_entropy: entropy of the mean, in nats; one number a prediction; None for regression, as below.
        expected_entropy: mean of the entropies of the passes, in nats: what every pass is unsure of.
        mutual_information: the difference of the two, at least 0: what the passes disagree about.
        samples: what the passes gave, one after the other along axis 0, if asked for.
        method: "vmap" if what stands before the first dropout was shared, "loop" if every pass ran the whole model.
    """

    mean: Tensor
    std: Tensor
    predictive_entropy: Tensor | None
    expected_entropy: Tensor | None
    mutual_information: Tensor | None
    samples: Tensor | None
    method: Literal["vmap", "loop"]


def mc_predict(
    model: nn.Module,
    x: Any,
    samples: int = 20,
    *,
    task: Literal["classification", "regression"] = "classification",
    axis: int = -1,
    chunk: int | None = None,
    keep_samples: bool = False,
    generator: torch.Generator | None = None,
    also: Sequence[type[nn.Module]] = (),
    forward: Callable[[nn.Module, Any], Tensor] | None = None,
    method: Literal["auto", "vmap", "loop"] = "auto",
) -> MCPrediction:
    r"""Mean, spread and entropies of the predictions of a model whose dropout stays on (Monte-Carlo dropout).

    .. math:: \bar p = \tfrac1T \sum_t p_t, \qquad \sigma^2 = \tfrac1T \sum_t (p_t - \bar p)^2, \qquad
        H[\bar p] = \tfrac1T \sum_t H[p_t] + I

    For the passes the whole model is in evaluation mode, BatchNorm included, but for what :func:`dropout_active`
    switches on; it does not matter in which mode it is given. Every example of every pass meets its own masks, as in
    as many single passes: weight masks and gates for a whole batch are drawn anew for each pass. Afterwards all flags
    and buffers are as they were found. No gradients are kept.

    All passes of a chunk run at once under ``torch.func.vmap``: what stands before the first dropout is computed once a
    chunk, for B examples, and what stands behind it for chunk x B; residual connections may lead around it. Random
    modules, and torch's recurrent and attention layers, run pass by pass within. Where vmap cannot go (Python that
    depends on numbers, in-place sums, compiled models) every pass runs the whole model; the result says which.
    ``inplace=True`` of dropout modules counts as False for the passes. All randomness must be torch's.

    The mean is a mixture of the passes. For regression, ``std`` is the spread of the model alone: the predictive
    variance is its square plus the noise of the data (Gal & Ghahramani 2016, sec. 4: :math:`\tau^{-1}`).

    Args:
        model: for classification it returns logits, to which the softmax is applied here.
        x: what the model takes, Tensor[B, ...] as a rule.
        samples: number of passes T, at least 1.
        task: "classification" or "regression".
        axis: axis of the classes in the model's output: -1 for (B, classes), 1 for maps (B, classes, H, W).
        chunk: most passes at once. It bounds the memory, whatever the number of passes. Default: as many as make 8192
            examples, but at least 32.
        keep_samples: whether to return the passes too, Tensor[T, *output].
        generator: source of randomness on the CPU, of which one number is drawn; default: torch's global one. The same
            state gives the same result for the same ``chunk`` and ``method``.
        also: classes of modules to be switched on besides; see :func:`dropout_active`.
        forward: how the model is called, ``forward(model, x)``; it returns the output as one Tensor.
            Default: ``model(x)``.
        method: "vmap" raises where vmap cannot go; "loop" runs every pass apart; "auto" is vmap where it can go.

    Returns:
        :class:`MCPrediction`, in the model's dtype (16 bits become 32); the sums are taken in 64 bits.

    Raises:
        TypeError: if the model does not return one floating-point tensor.
        ValueError: if the model has no dropout that can be switched on and draws no random numbers either, or an
            argument is out of range.

    Warns:
        UserWarning: names the modules whose dropout stayed off. They are found in the source, as in
            :func:`dropout_active`, and by listening to the first pass for dropout functions that are switched off.

    Cost: one pass over B examples up to the first dropout and over T x B behind it; the memory of chunk x B examples.

    Reference: Gal & Ghahramani (2016), "Dropout as a Bayesian Approximation", sec. 4; the split of the entropy: Houlsby
    et al. (2011), sec. 2.
    """
    if chunk is None:
        chunk = max(32, 8192 // max(1, len(x))) if is_tensor(x) and x.ndim else 32
    for name, value in (("samples", samples), ("chunk", chunk)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be an int, got {type(value).__name__}")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if task not in ("classification", "regression"):
        raise ValueError(f"task must be 'classification' or 'regression', got {task!r}")
    if method not in ("auto", "vmap", "loop"):
        raise ValueError(f"method must be 'auto', 'vmap' or 'loop', got {method!r}")
    random = random_modules(model, tuple(also))
    leaves = tree_flatten((x, list(model.parameters()), list(model.buffers())))[0]
    gpus = sorted({leaf.get_device() for leaf in leaves if is_tensor(leaf) and leaf.is_cuda})
    flags = {**dict.fromkeys(model.modules(), False), **flags_on(model, random)}
    total = _Sum(axis if task == "classification" else None, keep_samples)
    call = functools.partial(_call, model, forward)
    listener = Listener(model)
    with torch.no_grad(), own_stream(generator, gpus), flags_set(flags), _out_of_place(random.values()):
        before = random_state(gpus)
        if method != "loop" and (method == "vmap" or not _opaque(model)):
            try:
                with _state_kept(random.values()):
                    for y in passes_at_once(call, x, samples, chunk, model, set(random.values()), listener, gpus):
                        total.add(y)
                method = "vmap"
            except Exception:
                if method == "vmap":
                    raise
                total.clear()
                set_random_state(before, gpus)
        if method != "vmap":
            method = "loop"
            with _state_kept(random.values()):
                for t in range(samples):
                    with listener if t == 0 else nullcontext():
                        y = call(copied(x))
                    total.add(y[None])
        drew = changed(before, gpus)
    off = set(unreachable_names(model, set(random))) | (set(listener.heard) - set(random))
    warn_of([name for name, _ in model.named_modules() if name in off], 3)
    if not random and not drew:
        raise ValueError("model must have dropout that can be switched on, got one that gives the same at each pass")
    return total.result(method)


def _call(model: nn.Module, forward: Callable[[nn.Module, Any], Tensor] | None, x: Any) -> Tensor:
    y = model(x) if forward is None else forward(model, x)
    if not isinstance(y, Tensor) or not y.is_floating_point():
        got = y.dtype if isinstance(y, Tensor) else type(y).__name__
        raise TypeError(f"model must return one floating-point tensor (see the argument forward), got {got}")
    return y


@contextmanager
def _state_kept(modules: Iterable[nn.Module]) -> Iterator[None]:
    # A module may count its passes, as StochasticDepth does whose gates follow a seed: these do not count.
    plain = int | float | None
    found = [
        (module, [(b, b.clone()) for b in module.buffers(recurse=False)], list(vars(module).items()))
        for module in modules
    ]
    try:
        yield
    finally:
        for module, buffers, attributes in found:
            for buffer, value in buffers:
                buffer.copy_(value)
            vars(module).update((name, value) for name, value in attributes if isinstance(value, plain))


@contextmanager
def _out_of_place(modules: Iterable[nn.Module]) -> Iterator[None]:
    inplace = [module for module in modules if getattr(module, "inplace", False) is True]
    try:
        for module in inplace:
            module.inplace = False
        yield
    finally:
        for module in inplace:
            module.inplace = True


def _opaque(model: nn.Module) -> bool:
    """Whether code of the model was compiled, so that a changed ``forward`` of a module would not be seen."""
    return any(
        isinstance(module, torch.jit.ScriptModule)
        or hasattr(module, "_orig_mod")
        or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )


class _Sum:
    """Mean, variance and expected entropy of passes that come in chunks, updated by the rule of Chan et al. (1983)."""

    def __init__(self, axis: int | None, keep: bool) -> None:
        self.axis, self.keep = axis, keep
        self.clear()

    def clear(self) -> None:
        self.count, self.mean, self.squares, self.entropy = 0, None, None, None
        self.kept: list[Tensor] = []

    def add(self, y: Tensor) -> None:
        """Takes the outputs of some passes, Tensor[passes, *output]."""
        self.dtype = torch.promote_types(y.dtype, torch.float32)
        y = y.to(torch.float64 if y.device.type != "mps" else torch.float32)
        if self.axis is not None:
            y = y.softmax(self.axis if self.axis < 0 else self.axis + 1)
        if self.keep:
            self.kept.append(y.to(self.dtype))
        variance, mean = torch.var_mean(y, 0, correction=0)
        if self.count == 0:
            self.mean, self.squares = torch.zeros_like(mean), torch.zeros_like(mean)
        share = len(y) / (self.count + len(y))
        shift = mean - self.mean
        self.mean += share * shift
        self.squares += len(y) * variance + shift**2 * (self.count * share)
        if self.axis is not None:
            entropy = _entropy(y, self.axis if self.axis < 0 else self.axis + 1).mean(0)
            self.entropy = entropy if self.count == 0 else self.entropy + share * (entropy - self.entropy)
        self.count += len(y)

    def result(self, method: Literal["vmap", "loop"]) -> MCPrediction:
        predictive = expected = mutual = None
        if self.axis is not None:
            predictive, expected = _entropy(self.mean, self.axis), self.entropy
            mutual = (predictive - expected).clamp(min=0)  # at least 0 by Jensen; rounding may give -1e-16
        std = (self.squares / self.count).sqrt()
        kept = torch.cat(self.kept) if self.keep else None
        numbers = (self.mean, std, predictive, expected, mutual, kept)
        return MCPrediction(*(n if n is None else n.to(self.dtype) for n in numbers), method)


def _entropy(probabilities: Tensor, axis: int) -> Tensor:
    return torch.special.entr(probabilities).sum(axis)
