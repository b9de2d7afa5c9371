"""The family: every public layer with an input that suits it, so that a convention is one test over all of them.

A new function is one line in FUNCTIONS and a new module one line in MODULES; ``test_conventions.py`` fails while a
public layer stands in neither.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import companion


def generator(seed: int = 0, device: str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def random(*shape: int, dtype: torch.dtype = torch.float64, device: str = "cpu", seed: int = 1) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=generator(seed)).to(device, dtype)


@dataclass(frozen=True)
class Function:
    """A layer function in one form, whatever its own arguments are: ``f(x, p, training, *, generator)`` gives a tensor.

    name: the public name.
    shape: of an ordinary input. Every axis may be made longer, and the first one empty.
    large: of an input with more elements than float16 can count, 65,504.
    call: the one form; default: the public function itself.
    clean: what p = 0 gives for x; default: the input object itself.
    evaluated: what evaluation gives for x and p; default: what p = 0 gives.
    gone: what p = 1 gives for x; default: zeros.
    factor: on what is kept, for p; None where an output is something else than its input times 0 or this factor.
    x: how the public function calls this input in its messages.
    wrong: a shape that it must refuse.
    saved: bytes an element of the input that may be kept for the backward pass; None: not stated.
    compiled: whether it works in torch.compile(fullgraph=True).
    batched: whether it works in torch.func.vmap.
    """

    name: str
    shape: tuple[int, ...]
    large: tuple[int, ...]
    call: Callable[..., Tensor] | None = None
    clean: Callable[[Tensor], Tensor] | None = None
    evaluated: Callable[[Tensor, float], Tensor] | None = None
    gone: Callable[[Tensor], Tensor] = torch.zeros_like
    factor: Callable[[float], float] | None = lambda p: 1 / (1 - p)
    x: str = "x"
    wrong: tuple[int, ...] | None = None
    saved: float | None = 1.0
    compiled: bool = True
    batched: bool = True

    def __call__(self, x: Tensor, p: float | Tensor = 0.5, training: bool = True, **options) -> Tensor:
        return (self.call or getattr(companion, self.name))(x, p, training, **options)


@dataclass(frozen=True)
class Module:
    """A layer module: ``make(p)`` gives one, called on a tensor of ``shape``.

    name: the public name.
    shape: of an ordinary input.
    make: from p; default: the public class.
    keys: names in its state_dict.
    compiled: whether it works in torch.compile(fullgraph=True).
    """

    name: str
    shape: tuple[int, ...]
    make: Callable[..., nn.Module] | None = None
    keys: tuple[str, ...] = ()
    compiled: bool = True

    def __call__(self, p=0.5) -> nn.Module:
        return (self.make or getattr(companion, self.name))(p)


def once(p: float) -> float:
    return 1.0


FUNCTIONS = [
    Function("naive_dropout", (6, 8), (300, 300), factor=once),
    Function("vanilla_dropout", (6, 8), (300, 300), factor=once, evaluated=lambda x, p: x * (1 - p)),
    Function("dropout", (6, 8), (300, 300)),
]

MODULES = [
    Module("NaiveDropout", (6, 8)),
    Module("VanillaDropout", (6, 8)),
    Module("Dropout", (6, 8)),
]
