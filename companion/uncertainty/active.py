"""What is switched on: every dropout-like module of a model, and nothing else; and what is out of reach."""

import ast
import functools
import inspect
import re
import sys
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from companion.layers.base import DropoutModule

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


def random_modules(model: nn.Module, also: tuple[type, ...]) -> dict[str, nn.Module]:
    return {name: module for name, module in model.named_modules() if _drops(module, also)}


@contextmanager
def flags_set(flags: dict[nn.Module, bool]) -> Iterator[None]:
    """Sets ``training`` of each module alone, not of its children; sets back what was found there."""
    found = {module: module.training for module in flags}
    try:
        for module, flag in flags.items():
            module.training = flag
        yield
    finally:
        for module, flag in found.items():
            module.training = flag


def flags_on(model: nn.Module, random: dict[str, nn.Module]) -> dict[nn.Module, bool]:
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
    random = random_modules(model, tuple(also))
    warn_of(unreachable_names(model, set(random)), 4)
    if not random:
        warnings.warn("model has no dropout that can be switched on", stacklevel=3)
    with flags_set(flags_on(model, random)):
        yield tuple(random)


# --- dropout out of reach ---------------------------------------------------------------------------------------------


def warn_of(names: Sequence[str], stacklevel: int) -> None:
    if names:
        listed = ", ".join(repr(name) if name else "the model itself" for name in names)
        warnings.warn(
            f"dropout that follows the training flag of a larger module stays off: {listed}. Use a dropout module "
            "there, or name the module's class in also=(...) if its flag governs nothing else",
            stacklevel=stacklevel,
        )


def unreachable_names(model: nn.Module, reached: set[str]) -> list[str]:
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


class Listener(TorchFunctionMode):
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
