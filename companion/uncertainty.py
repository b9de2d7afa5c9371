r"""Uncertainty from dropout (Monte-Carlo dropout), and whether stated probabilities can be believed (calibration).

A network whose dropout stays on answers differently at every pass. With :math:`T` passes and their probabilities
:math:`p_t`, the entropy of the mean splits into two parts (in nats):

.. math::

    \underbrace{H\Big[\tfrac1T \sum_t p_t\Big]}_{\text{predictive entropy}}
    = \underbrace{\tfrac1T \sum_t H[p_t]}_{\text{expected entropy}}
    + \underbrace{I}_{\text{mutual information}},
    \qquad H[p] = -\sum_c p_c \log p_c

The first part is what every thinned network is unsure of (noise in the data), the second what they disagree about
(what the model does not know). A standard deviation alone tells neither.

Only the dropout is random: what stands before the first dropout is the same in every pass, so that it is computed once.
"""

import ast
import functools
import inspect
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from companion.layers.base import DropoutModule
from companion.layers.dropout import dropout
from companion.masks import bernoulli

__all__ = [
    "CalibrationInterval",
    "MCPrediction",
    "Reliability",
    "brier",
    "calibration_interval",
    "dropout_active",
    "expected_calibration_error",
    "mc_predict",
    "nll",
    "reliability",
]

# --- what is switched on ----------------------------------------------------------------------------------------------

# What other libraries call their dropout-like modules: timm's DropPath, torchvision's StochasticDepth, ... A module
# counts if it has no children (its flag can then govern nothing else) and its class is called one of these.
_KINDS = re.compile(r"(Drop(out|Path|Block|Connect)|StochasticDepth|Zoneout)(\dd)?$", re.IGNORECASE)
_RATES = ("p", "drop_prob", "dropout", "dropout_p", "drop_rate", "rate", "prob")


def _rate(module: nn.Module) -> float | None:
    """The module's probability of dropping, if it has one under a usual name."""
    if isinstance(module, DropoutModule):
        return float(module.rate())
    if isinstance(module, nn.RNNBase):  # between the layers: a single one has none
        return float(module.dropout) if module.num_layers > 1 else 0.0
    for name in _RATES:
        value = getattr(module, name, None)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def _drops(module: nn.Module, also: tuple[type, ...]) -> bool:
    """Whether the module's own ``training`` flag switches dropout on, and nothing else."""
    if isinstance(module, (DropoutModule, nn.modules.dropout._DropoutNd, *also)):
        return True
    if isinstance(module, nn.RNNBase | nn.MultiheadAttention):
        return _rate(module) != 0
    return _KINDS.search(type(module).__name__) is not None and next(module.children(), None) is None


def _random_modules(model: nn.Module, also: tuple[type, ...]) -> dict[str, nn.Module]:
    return {name: module for name, module in model.named_modules() if _drops(module, also)}


@contextmanager
def _flags(flags: dict[nn.Module, bool]) -> Iterator[None]:
    """Sets ``training`` of each module alone, not of its children; sets back what was found there."""
    found = {module: module.training for module in flags}
    try:
        for module, flag in flags.items():
            module.training = flag
        yield
    finally:
        for module, flag in found.items():
            module.training = flag


def _on(model: nn.Module, random: dict[str, nn.Module]) -> dict[nn.Module, bool]:
    flags = dict.fromkeys(random.values(), True)
    for module in model.modules():
        # At evaluation torch runs this layer as one fused kernel, which passes over its dropouts whatever their flags.
        # The layer's own flag does nothing but choose the kernel.
        if isinstance(module, nn.TransformerEncoderLayer) and any(child in flags for child in module.modules()):
            flags[module] = True
    return flags


@contextmanager
def dropout_active(model: nn.Module, *, also: Sequence[type[nn.Module]] = ()) -> Iterator[tuple[str, ...]]:
    """Switches on every dropout-like module of a model, and nothing else, for the duration of a ``with`` block.

    Switched on are all dropout modules of this package and of torch, ``nn.LSTM``, ``nn.GRU`` and ``nn.RNN`` with
    dropout between their layers, ``nn.MultiheadAttention`` with dropout, and modules without children of other
    libraries that are called ...Dropout, DropPath, DropBlock, DropConnect, StochasticDepth or Zoneout. Only a module's
    own ``training`` flag is set, not that of its children: BatchNorm within a stochastic-depth branch stays as it is.
    ``nn.TransformerEncoderLayer`` leaves its fused kernel, which has no dropout. On leaving, by an exception too,
    each flag is again what it was on entering. Blocks may be nested.

    Dropout that hangs on the flag of a larger module (``F.dropout(x, p, self.training)``, or attention with
    ``dropout_p=self.p if self.training else 0``) is out of reach: that flag may govern other things. It is found by
    reading the source of the model's classes, and reported by a warning that names the modules. If nothing else of
    such a class looks at its flag, name the class in ``also``.

    Args:
        model: any module; the root may itself be a dropout layer.
        also: further classes whose own flag is to be switched on.

    Yields:
        The names of the modules switched on, as in ``model.named_modules()``.

    Warns:
        UserWarning: if dropout is found that cannot be switched on, or no dropout at all.

    Reference: Gal & Ghahramani (2016), sec. 4.
    """
    random = _random_modules(model, tuple(also))
    _warn_of(_unreachable(model, set(random)), 4)
    if not random:
        warnings.warn("model has no dropout that can be switched on", stacklevel=3)
    with _flags(_on(model, random)):
        yield tuple(random)


# --- dropout out of reach ---------------------------------------------------------------------------------------------


def _warn_of(names: Sequence[str], stacklevel: int) -> None:
    if names:
        listed = ", ".join(repr(name) if name else "the model itself" for name in names)
        warnings.warn(
            f"dropout that follows the training flag of a larger module stays off: {listed}. Use a dropout module "
            "there, or name the module's class in also=(...) if its flag governs nothing else",
            stacklevel=stacklevel,
        )


def _unreachable(model: nn.Module, reached: set[str]) -> list[str]:
    """Names of modules, other than ``reached``, whose code drops only if their own flag is on."""
    return [
        name
        for name, module in model.named_modules()
        if name not in reached
        and not type(module).__module__.startswith("torch.nn.")
        and any(_can_drop(module, paths) for paths in _governed(type(module)))
    ]


def _can_drop(module: nn.Module, paths: tuple[str, ...]) -> bool:
    """False if all rates that the code names are known to be zero."""
    rates = []
    for path in paths:
        value: Any = module
        for part in path.split(".")[1:]:
            value = getattr(value, part, None)
        value = _rate(value) if isinstance(value, nn.Module) else value
        if isinstance(value, int | float) and not isinstance(value, bool):
            rates.append(value)
    return not rates or any(rates)


@functools.lru_cache(maxsize=1024)
def _governed(kind: type[nn.Module]) -> tuple[tuple[str, ...], ...]:
    """The places in the methods of a class that depend on ``.training`` and speak of dropping.

    Such a place is a call with ``.training`` among its arguments, or a choice (``if``) on it. Each is given by the
    attributes of ``self`` that it reads, "self.drop.p" say: the rate is one of them.
    """
    places = []
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        if name == "__init__" or (method.__module__ or "").startswith("torch.nn."):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
        except (OSError, SyntaxError, TypeError):  # no source at hand
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                decides = [*node.args, *(keyword.value for keyword in node.keywords)]
            else:
                decides = [node.test] if isinstance(node, ast.If | ast.IfExp) else []
            if not any(_reads_training(part) for part in decides):
                continue
            words = {path for part in ast.walk(node) for path in _paths(part)}
            if any("drop" in word.lower() for word in (name, *words)):
                places.append(tuple(sorted(word for word in words if word.startswith("self."))))
    return tuple(places)


def _reads_training(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Attribute) and part.attr == "training" for part in ast.walk(node))


def _paths(node: ast.AST) -> Iterator[str]:
    """What a node of the syntax tree is called: "self.drop.p", "F.dropout", "dropout_p"."""
    if isinstance(node, ast.keyword) and node.arg:
        yield node.arg
    elif isinstance(node, ast.Name | ast.Attribute):
        yield ast.unparse(node)


_FUNCTIONAL = {
    getattr(F, name): inspect.signature(getattr(F, name))
    for name in ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
} | {F.multi_head_attention_forward: inspect.signature(F.multi_head_attention_forward)}


class _Listener(TorchFunctionMode):
    """Listens to a pass of the model for torch's dropout functions being called with a rate but switched off."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.names = {id(module): name for name, module in model.named_modules()}
        self.heard: list[str] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in _FUNCTIONAL:
            call = _FUNCTIONAL[func].bind(*args, **kwargs)
            call.apply_defaults()
            given = call.arguments
            if not given["training"] and given.get("p", given.get("dropout_p")) > 0:
                self.heard.append(self._caller())
        return func(*args, **kwargs)

    def _caller(self) -> str:
        frame = sys._getframe(1)
        while frame is not None:
            name = self.names.get(id(frame.f_locals.get("self")))
            if name is not None:
                return name
            frame = frame.f_back
        return ""


# --- Monte-Carlo dropout ----------------------------------------------------------------------------------------------


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
        chunk = max(32, 8192 // max(1, len(x))) if _is_tensor(x) and x.ndim else 32
    for name, value in (("samples", samples), ("chunk", chunk)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} must be an int, got {type(value).__name__}")
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if task not in ("classification", "regression"):
        raise ValueError(f"task must be 'classification' or 'regression', got {task!r}")
    if method not in ("auto", "vmap", "loop"):
        raise ValueError(f"method must be 'auto', 'vmap' or 'loop', got {method!r}")
    random = _random_modules(model, tuple(also))
    leaves = tree_flatten((x, list(model.parameters()), list(model.buffers())))[0]
    gpus = sorted({leaf.get_device() for leaf in leaves if _is_tensor(leaf) and leaf.is_cuda})
    flags = {**dict.fromkeys(model.modules(), False), **_on(model, random)}
    total = _Sum(axis if task == "classification" else None, keep_samples)
    call = functools.partial(_call, model, forward)
    listener = _Listener(model)
    with torch.no_grad(), _own_stream(generator, gpus), _flags(flags), _out_of_place(random.values()):
        before = _random_state(gpus)
        if method != "loop" and (method == "vmap" or not _opaque(model)):
            try:
                with _state_kept(random.values()):
                    _vectorised(call, x, samples, chunk, model, set(random.values()), total, listener, gpus)
                method = "vmap"
            except Exception:
                if method == "vmap":
                    raise
                total.clear()
                _set_random_state(before, gpus)
        if method != "vmap":
            method = "loop"
            with _state_kept(random.values()):
                for t in range(samples):
                    with listener if t == 0 else nullcontext():
                        y = call(_copy(x))
                    total.add(y[None])
        drew = _changed(before, gpus)
    unreachable = set(_unreachable(model, set(random))) | (set(listener.heard) - set(random))
    _warn_of([name for name, _ in model.named_modules() if name in unreachable], 3)
    if not random and not drew:
        raise ValueError("model must have dropout that can be switched on, got one that gives the same at each pass")
    return total.result(method)


def _call(model: nn.Module, forward: Callable[[nn.Module, Any], Tensor] | None, x: Any) -> Tensor:
    y = model(x) if forward is None else forward(model, x)
    if not isinstance(y, Tensor) or not y.is_floating_point():
        got = y.dtype if isinstance(y, Tensor) else type(y).__name__
        raise TypeError(f"model must return one floating-point tensor (see the argument forward), got {got}")
    return y


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _copy(x: Any) -> Any:
    """The input of one run of the model, which may work on it in place."""
    return tree_map(lambda leaf: leaf.clone() if _is_tensor(leaf) else leaf, x)


def _random_state(gpus: Sequence[int]) -> list[Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(gpu) for gpu in gpus)]


def _changed(before: Sequence[Tensor], gpus: Sequence[int]) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(before, _random_state(gpus), strict=True))


def _set_random_state(states: Sequence[Tensor], gpus: Sequence[int]) -> None:
    torch.set_rng_state(states[0])
    for gpu, state in zip(gpus, states[1:], strict=True):
        torch.cuda.set_rng_state(state, gpu)


@contextmanager
def _own_stream(generator: torch.Generator | None, gpus: Sequence[int]) -> Iterator[None]:
    # A generator cannot be handed to modules; so the global stream is seeded from it for a while.
    if generator is None:
        yield
        return
    with torch.random.fork_rng(gpus):
        torch.manual_seed(int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device)))
        yield


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


# --- all passes at once -----------------------------------------------------------------------------------------------


def _vectorised(
    call: Callable[[Any], Tensor],
    x: Any,
    samples: int,
    chunk: int,
    model: nn.Module,
    random: set[nn.Module],
    total: "_Sum",
    listener: _Listener,
    gpus: Sequence[int],
) -> None:
    """Adds up the passes, chunk by chunk, each chunk by one run of the model under vmap.

    vmap carries an axis of passes that the model does not see: a tensor gets it from the first random module that it
    meets, and has no such axis before. vmap's own rules for randomness are not relied on: operators that draw within
    (LSTM) give all passes the same mask without a word.
    """
    for start in range(0, samples, chunk):
        n = min(chunk, samples - start)
        before = _random_state(gpus)
        with listener if start == 0 else nullcontext(), _pass_by_pass(model, random) as enter:

            def one_pass(pass_number: Tensor) -> Tensor:
                enter(pass_number)
                return call(_copy(x))

            y = torch.func.vmap(one_pass, randomness="different")(torch.arange(n))
        if not random and n > 1 and _changed(before, gpus) and all(torch.equal(y[0], other) for other in y[1:]):
            raise RuntimeError("random numbers were drawn, but all passes are alike under vmap")
        total.add(y)


@contextmanager
def _pass_by_pass(model: nn.Module, random: set[nn.Module]) -> Iterator[Callable[[Tensor], None]]:
    """Lets random modules run outside of vmap, once for each pass; yields a function that takes vmap's argument.

    So do the layers for which vmap has no rule, once the passes differ.
    """
    no_rule = (nn.RNNBase, nn.MultiheadAttention)
    state = {"pass": None, "within": False}
    replaced = []

    def replacement(module: nn.Module, forward: Callable) -> Callable:
        inplace = any(getattr(child, "inplace", False) for child in module.modules())

        def run(*args: Any, **kwargs: Any) -> Any:
            if state["within"]:  # in a module that runs pass by pass already
                return forward(*args, **kwargs)
            leaves, structure = tree_flatten((args, kwargs))
            tensors = [leaf for leaf in leaves if _is_tensor(leaf)]
            made = []

            def once(*values: Tensor) -> tuple[Tensor, ...]:
                versions = [value._version for value in values]
                given = iter([value.clone() for value in values] if inplace else values)
                filled = [next(given) if _is_tensor(leaf) else leaf for leaf in leaves]
                a, k = tree_unflatten(filled, structure)
                state["within"] = True
                try:
                    outputs, form = tree_flatten(forward(*a, **k))
                finally:
                    state["within"] = False
                if versions != [value._version for value in values]:
                    raise RuntimeError(f"{type(module).__name__} works on its input in place")
                made[:] = [form, outputs]
                return tuple(output for output in outputs if _is_tensor(output))

            number = state["pass"] if module in random else torch.zeros(())
            stacked = iter(_EachPass.apply(once, number, *tensors))
            form, outputs = made
            return tree_unflatten([next(stacked) if _is_tensor(output) else output for output in outputs], form)

        return run

    try:
        for module in model.modules():
            if module in random or isinstance(module, no_rule):
                own = module.__dict__.get("forward")
                replaced.append((module, own))
                if type(module) is nn.Dropout and own is None:  # the same law, by a faster draw
                    module.forward = replacement(module, functools.partial(dropout, p=module.p))
                else:
                    module.forward = replacement(module, module.forward)

        def enter(pass_number: Tensor) -> None:
            state["pass"] = pass_number

        yield enter
    finally:
        for module, forward in replaced:
            if forward is None:
                del module.forward
            else:
                module.forward = forward


class _EachPass(torch.autograd.Function):
    """Calls a function of tensors once for each pass of vmap, outside of it, and stacks what it returns.

    If none of the tensors depends on the pass, the function is called once.
    """

    @staticmethod
    def forward(function: Callable, number: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        return function(*tensors)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        pass

    @staticmethod
    def vmap(info, in_dims, function: Callable, number: Tensor, *tensors: Tensor) -> tuple[tuple, tuple]:
        passes = []
        for t in range(info.batch_size):
            each = [x if dim is None else x.select(dim, t) for x, dim in zip(tensors, in_dims[2:], strict=True)]
            passes.append(function(*each))
        outputs = tuple(torch.stack(values) for values in zip(*passes, strict=True))
        return outputs, (0,) * len(outputs)


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


# --- calibration ------------------------------------------------------------------------------------------------------


def _check(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Returns the probabilities in float64, or raises an error that names what is wrong."""
    for name, value in (("probabilities", probabilities), ("labels", labels)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a Tensor, got {type(value).__name__}")
    if not probabilities.is_floating_point():
        raise TypeError(f"probabilities must be a floating-point tensor, got {probabilities.dtype}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(f"labels must be a tensor of integers, got {labels.dtype}")
    if probabilities.ndim < 2 or probabilities.numel() == 0:
        raise ValueError(f"probabilities must have the shape (..., n, classes), got {tuple(probabilities.shape)}")
    if labels.shape != probabilities.shape[:-1]:
        raise ValueError(f"labels must have the shape {tuple(probabilities.shape[:-1])}, got {tuple(labels.shape)}")
    classes = probabilities.shape[-1]
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        got = f"got values from {int(labels.min())} to {int(labels.max())}"
        raise ValueError(f"labels must be in [0, {classes - 1}], {got}")
    p = probabilities.detach().double()
    off = (p.sum(-1) - 1).abs().max()
    if not bool(((p >= 0) & (p <= 1 + 1e-6)).all()) or not off <= (1e-4 if probabilities.element_size() > 2 else 1e-2):
        raise ValueError(
            "probabilities must be in [0, 1] and sum to 1 over the last axis (logits need a softmax first), "
            f"got values from {float(p.min()):.4g} to {float(p.max()):.4g} and sums off by up to {float(off):.4g}"
        )
    return p


def _check_bins(bins: int) -> None:
    if isinstance(bins, bool) or not isinstance(bins, int):
        raise TypeError(f"bins must be an int, got {type(bins).__name__}")
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")


def _answers(probabilities: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Confidence of each answer, and whether it is right (1 or 0)."""
    confidence, answer = _check(probabilities, labels).max(-1)
    return confidence.clamp(max=1), (answer == labels).double()


def _bin_of(confidence: Tensor, bins: int) -> Tensor:
    return (confidence * bins).long().clamp(max=bins - 1)


def _binned(values: Tensor, bin_of: Tensor, bins: int) -> Tensor:
    """Sums of the values (..., n) over each bin: (..., bins)."""
    return values.new_zeros(*values.shape[:-1], bins).scatter_add_(-1, bin_of, values)


def _error(confidence: Tensor, right: Tensor, bins: int) -> Tensor:
    return _binned(right - confidence, _bin_of(confidence, bins), bins).abs().sum(-1) / confidence.shape[-1]


@dataclass(frozen=True)
class Reliability:
    """Answers sorted by their confidence into bins: what a reliability diagram draws.

    Attributes:
        edges: Tensor[bins + 1], from 0 to 1; a bin holds its lower edge, the last one both.
        count: Tensor[..., bins] of ``torch.int64``, number of answers in each bin.
        confidence: Tensor[..., bins], mean confidence in each bin; NaN in an empty one.
        accuracy: Tensor[..., bins], share of right answers in each bin; NaN in an empty one.
    """

    edges: Tensor
    count: Tensor
    confidence: Tensor
    accuracy: Tensor


def reliability(probabilities: Tensor, labels: Tensor, bins: int = 15) -> Reliability:
    """Accuracy against confidence, in equally wide bins of the confidence (the probability of the likeliest class).

    Args:
        probabilities: Tensor[..., n, classes], of n predictions; leading axes are models, say.
        labels: Tensor[..., n] of integers in [0, classes).
        bins: number of bins of [0, 1].

    Raises:
        TypeError, ValueError: if the probabilities do not sum to 1, or the labels do not fit them.

    Reference: Guo et al. (2017), sec. 2.
    """
    _check_bins(bins)
    confidence, right = _answers(probabilities, labels)
    bin_of = _bin_of(confidence, bins)
    count = _binned(torch.ones_like(right), bin_of, bins)
    return Reliability(
        edges=torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=count.device),
        count=count.long(),
        confidence=_binned(confidence, bin_of, bins) / count,
        accuracy=_binned(right, bin_of, bins) / count,
    )


def expected_calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> Tensor:
    r"""How far confidence is from accuracy, averaged over bins of the confidence (ECE).

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{n}\,\big|\mathrm{acc}_b - \mathrm{conf}_b\big|

    The estimate is biased upwards, because chance alone parts accuracy from confidence in every bin: a perfectly
    calibrated model shows about :math:`0.8 \sum_b \sqrt{n_b\,c_b(1-c_b)}/n` instead of 0, with the mean confidence
    :math:`c_b`; some 0.03 for 1000 examples in 15 bins. :func:`calibration_interval` measures this floor.

    Args:
        probabilities: Tensor[..., n, classes], of n predictions; leading axes are models, say.
        labels: Tensor[..., n] of integers in [0, classes).
        bins: number of equally wide bins of [0, 1]. A bin holds its lower edge, the last one 1 too; empty bins count 0.

    Returns:
        Tensor[...] of ``torch.float64``, between 0 and 1.

    Raises:
        TypeError, ValueError: if the probabilities do not sum to 1, or the labels do not fit them.

    Reference: Guo et al. (2017), sec. 2; the bias: Bröcker (2012); Kumar et al. (2019), sec. 4.
    """
    _check_bins(bins)
    return _error(*_answers(probabilities, labels), bins)


@dataclass(frozen=True)
class CalibrationInterval:
    """Expected calibration error with its uncertainty.

    Attributes:
        error: the estimate, biased upwards.
        low, high: ends of the interval. The bias is taken off, so that the estimate itself may lie above ``high``.
        level: confidence level of the interval.
        floor: what a perfectly calibrated model with the same confidences would show on average.
    """

    error: float
    low: float
    high: float
    level: float
    floor: float


def calibration_interval(
    probabilities: Tensor,
    labels: Tensor,
    bins: int = 15,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    generator: torch.Generator | None = None,
) -> CalibrationInterval:
    r"""Expected calibration error with a bootstrap interval, and the error that chance alone would show.

    Resampling the examples biases the error upwards once more, by about as much as the estimate is biased already. So
    the quantiles of the resampled errors are reflected about the estimate :math:`e`, which takes the bias off (basic
    bootstrap): :math:`[2e - q_\text{high},\; 2e - q_\text{low}]`, cut at 0 and 1. The plain quantiles would almost
    never hold the true error of a well calibrated model. Labels drawn from the confidences tell what a perfectly
    calibrated model would show; where the estimate does not stand out from that, the interval starts at 0.

    Args:
        probabilities: Tensor[n, classes].
        labels: Tensor[n] of integers in [0, classes).
        bins: number of equally wide bins of [0, 1].
        level: confidence level, in (0, 1).
        resamples: number of bootstrap samples, and of sets of labels.
        generator: source of randomness on the CPU; default: torch's global one.

    Raises:
        TypeError, ValueError: if the probabilities do not sum to 1, the labels do not fit, or an argument is out of
            range.

    Cost: resamples x n random integers and coins, some thousand examples at a time.

    Reference: Davison & Hinkley (1997), sec. 5.2 (basic bootstrap); Bröcker & Smith (2007) (consistency resampling).
    """
    _check_bins(bins)
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")
    confidence, right = _answers(probabilities, labels)
    if confidence.ndim != 1:
        raise ValueError(f"probabilities must have the shape (n, classes), got {tuple(probabilities.shape)}")
    confidence, right = confidence.cpu(), right.cpu()
    n = len(confidence)
    resampled, by_chance = [], []
    for size in torch.full((resamples,), 1).split(max(1, 2**20 // n)):
        chosen = torch.randint(n, (len(size), n), generator=generator)
        resampled.append(_error(confidence[chosen], right[chosen], bins))
        # kept with the probability of the confidence: right as often as a calibrated model is
        lucky = bernoulli(chosen.shape, 1 - confidence, generator=generator).double()
        by_chance.append(_error(confidence.expand(chosen.shape), lucky, bins))
    error = float(_error(confidence, right, bins))
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = (2 * error - torch.cat(resampled).quantile(tails).flip(0)).clamp(0, 1).tolist()
    chance = torch.cat(by_chance)
    if error <= float(chance.quantile(tails[1])):
        low = 0.0
    return CalibrationInterval(error, low, high, level, float(chance.mean()))


def nll(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Mean negative log-likelihood of the labels, in nats. (:func:`companion.training.nll` takes logits instead.)

    The mean of Monte-Carlo passes is a mixture of probabilities and has no logits: its likelihood is taken here.

    Args:
        probabilities: Tensor[..., n, classes]; leading axes are models, say.
        labels: Tensor[..., n] of integers in [0, classes).

    Returns:
        Tensor[...] of ``torch.float64``, at least 0; infinite if a label has the probability 0.

    Raises:
        TypeError, ValueError: if the probabilities do not sum to 1, or the labels do not fit them.
    """
    p = _check(probabilities, labels)
    return -p.gather(-1, labels.long()[..., None]).squeeze(-1).log().mean(-1)


def brier(probabilities: Tensor, labels: Tensor) -> Tensor:
    r"""Brier score: squared distance of the probabilities from the label, summed over classes, averaged over examples.

    .. math:: \frac1n \sum_i \sum_c \big(p_{ic} - [y_i = c]\big)^2

    Args:
        probabilities: Tensor[..., n, classes]; leading axes are models, say.
        labels: Tensor[..., n] of integers in [0, classes).

    Returns:
        Tensor[...] of ``torch.float64``, from 0 to 2. (For two classes, twice the score of one probability.)

    Raises:
        TypeError, ValueError: if the probabilities do not sum to 1, or the labels do not fit them.

    Reference: Brier (1950).
    """
    p = _check(probabilities, labels)
    return (p - F.one_hot(labels.long(), p.shape[-1])).square().sum(-1).mean(-1)
