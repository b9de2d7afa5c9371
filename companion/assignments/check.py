"""Checks an answer to an exercise and answers in words.

``check("ch02.mask_shape", mask_shape)`` prints one line when the answer is right. Otherwise it raises :class:`NotYet`,
of which a notebook shows the hint and nothing else: no traceback, nothing on the error stream.

What is right for one exercise is a function in ``checks/chNN.py``, registered with :func:`exercise`. It gets the
learner's answer and a generator from which it draws all its inputs. That generator is seeded by :func:`inputs`: in the
open notebook with a public seed, so that the same answer always gets the same reply; for a grade with the course's
secret. The code of a check can therefore be public, and still nobody can type its results into an answer.
"""

import contextlib
import copy
import difflib
import hashlib
import importlib
import math
import os
import pkgutil
import random
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "Answer",
    "Exercise",
    "NoSuchExercise",
    "NotYet",
    "ReadyMade",
    "check",
    "exercise",
    "exercises",
    "inputs",
    "not_yet",
]


class NotYet(AssertionError):
    """The answer is not right yet; the message is the hint."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for this: the learner reads the hint, not our stack.
        return [f"Not yet: {self}"]


class ReadyMade(NotYet):
    """The answer calls the finished function that the exercise asks to build."""


class NoSuchExercise(ValueError):
    """There is no exercise of this name."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def not_yet(hint: str) -> NoReturn:
    """Raises :class:`NotYet` with ``hint``."""
    raise NotYet(hint)


@dataclass(frozen=True)
class Exercise:
    """One registered exercise: what checks it, and which finished functions its answer may use."""

    name: str
    checker: Callable[..., str | None]
    allow: frozenset[str]


_registry: dict[str, Exercise] = {}


def exercise(name: str, *, allow: Collection[str] = ()) -> Callable:
    """Registers the decorated function ``checker(answer, g)`` as the check of the exercise ``name``.

    Args:
        name: ``chNN.what``, as the learner types it.
        allow: ready-made functions that an answer may call, as ``module.function``; ``"torch"`` allows torch's
            dropout (for exercises that are handed a finished network).

    The checker returns a short sentence to print on success, or None. It raises :class:`NotYet` otherwise.
    """

    def register(checker: Callable) -> Callable:
        if name in _registry and _registry[name].checker.__module__ != checker.__module__:
            raise ValueError(f"name must be new, got {name!r}, which {_registry[name].checker.__module__} has")
        _registry[name] = Exercise(name, checker, frozenset(allow))
        return checker

    return register


def exercises() -> dict[str, Exercise]:
    """Returns every exercise by its name."""
    from companion.assignments import checks

    for module in pkgutil.iter_modules(checks.__path__):
        importlib.import_module(f"{checks.__name__}.{module.name}")
    return dict(sorted(_registry.items()))


def inputs(name: str, *, secret: str | None = None, student: str | None = None) -> torch.Generator:
    """Returns the generator from which a check draws its inputs: one fixed seed a secret, student and exercise.

    Args:
        name: the exercise, such as ``"ch02.mask_shape"``.
        secret: what only the course knows; default: the environment variable ``COMPANION_COURSE_SECRET``, and
            without it a public value.
        student: whom the answer belongs to; default: the environment variable ``COMPANION_STUDENT``, else nobody.

    The seed is the first 63 bits of a keyed hash (BLAKE2b, RFC 7693), so that inputs say nothing about the secret.
    """
    secret = os.environ.get("COMPANION_COURSE_SECRET", "public") if secret is None else secret
    student = os.environ.get("COMPANION_STUDENT", "") if student is None else student
    key = hashlib.sha256(secret.encode()).digest()
    digest = hashlib.blake2b(f"{student}\n{name}".encode(), key=key, digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


def check(name: str, answer: Any, *, generator: torch.Generator | None = None) -> None:
    """Checks ``answer`` to the exercise ``name``: prints one line, or raises :class:`NotYet` with a hint.

    Args:
        name: the exercise, such as ``"ch02.mask_shape"``.
        answer: a function, number, tensor or dict, as the exercise says.
        generator: source of the inputs; default: the public one, ``inputs(name, secret="public", student="")``.

    Raises:
        NotYet: if the answer is not right yet.
        NoSuchExercise: a ValueError, if there is no such exercise; the message lists the near names.
    """
    known = exercises()
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.4) or list(known)
        raise NoSuchExercise(f"name must be an exercise, got {name!r}; the nearest are {', '.join(near)}")
    entry = known[name]
    g = inputs(name, secret="public", student="") if generator is None else generator
    with _undisturbed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(_seed(g))
        parts = answer.values() if isinstance(answer, dict) else answer if isinstance(answer, tuple | list) else ()
        if any(part is None for part in parts):
            not_yet(f"the answer is still empty: {shown(answer)}.")
        remark = entry.checker(_wrapped(answer, entry.allow), g)
    print(f"{name}: right. {remark or ''}".rstrip())


def _seed(g: torch.Generator) -> int:
    return int(torch.randint(2**62, (), generator=g))


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Leaves the global random states as they were: checking an answer must not change what a notebook draws next."""
    python, array = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(array)  # noqa: NPY002


# ---- The learner's functions


class Answer:
    """A learner's function, callable as it is; what goes wrong in it is said in words, with the input that did it."""

    def __init__(self, function: Callable, allow: Collection[str] = ()) -> None:
        self.function = function
        self.allow = allow
        self.name = getattr(function, "__name__", type(function).__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before = [_snapshot(value) for value in (*args, *kwargs.values())]
        with no_ready_made(self.allow):
            try:
                result = self.function(*args, **kwargs)
            except NotYet:
                raise
            except NotImplementedError:
                not_yet(f"{self.name} is still the stub: replace its `raise NotImplementedError` with your answer.")
            except Exception as error:
                what = f"{type(error).__name__}: {error}".rstrip(": ")
                raise NotYet(f"{self.name}({_arguments(args, kwargs)}) raised {what}") from error
        for value, old in zip((*args, *kwargs.values()), before, strict=True):
            if old is not None and not _same(value, old):
                not_yet(
                    f"{self.name} changes its input in place. The caller still needs it: work on a new tensor "
                    f"(`x * mask`, not `x *= mask`). It happened in {self.name}({_arguments(args, kwargs)})."
                )
        return result

    def error(self, *args: Any, **kwargs: Any) -> Exception | None:
        """Returns the exception that a call raises, or None: for inputs that an answer must refuse."""
        try:
            self(*args, **kwargs)
        except ReadyMade:
            raise
        except NotYet as told:
            return told.__cause__ if isinstance(told.__cause__, Exception) else told
        return None


def _wrapped(answer: Any, allow: Collection[str]) -> Any:
    if isinstance(answer, dict):
        return {key: _wrapped(value, allow) for key, value in answer.items()}
    return Answer(answer, allow) if callable(answer) else answer


def _snapshot(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone() if value.device.type != "meta" else None
    return copy.deepcopy(value) if isinstance(value, list | tuple | dict | np.ndarray) else None


def _same(value: Any, old: Any) -> bool:
    if isinstance(value, Tensor):
        return value.shape == old.shape and torch.equal(value.detach().nan_to_num(), old.nan_to_num())
    if isinstance(value, np.ndarray):
        return np.array_equal(value, old, equal_nan=True)
    if isinstance(value, list | tuple):
        return len(value) == len(old) and all(map(_same, value, old))
    if isinstance(value, dict):
        return value.keys() == old.keys() and all(_same(value[key], old[key]) for key in value)
    return isinstance(value, torch.nn.Module | torch.Generator) or value == old


def shown(value: Any) -> str:
    """Describes an input or a result in a few words."""
    if isinstance(value, Tensor):
        if value.device.type != "meta" and value.numel() <= 8:
            return f"tensor({_rounded(value.detach().tolist())})"
        return f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)}"
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"an array of shape {value.shape}"
    if isinstance(value, torch.Generator):
        return "a seeded generator"
    if isinstance(value, Answer):
        return value.name
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    text = repr(_rounded(value))
    return text if len(text) <= 120 else f"{text[:117]}..."


def _rounded(value: Any) -> Any:
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.6g}")
    if isinstance(value, list | tuple):
        return type(value)(map(_rounded, value)) if type(value) in (list, tuple) else value
    return value


def _arguments(args: tuple, kwargs: dict) -> str:
    return ", ".join([*map(shown, args), *(f"{key}={shown(value)}" for key, value in kwargs.items())])


# ---- Ready-made answers


def _ready_made(module: str, name: str, allow: Collection[str]) -> bool:
    if f"{module}.{name}" in allow or name == "<module>":
        return False
    if module == "companion" or module.startswith("companion."):
        return not module.startswith("companion.assignments")
    return module.startswith("torch") and "torch" not in allow and "dropout" in name.lower()


@contextlib.contextmanager
def no_ready_made(allow: Collection[str] = ()) -> Iterator[None]:
    """Refuses calls of torch's dropout functions and of the companion's own functions with :class:`ReadyMade`.

    The interpreter's profile hook sees every call, by whatever name the learner imported the function and however
    deep it is hidden in a module. Replacing attributes would miss ``from companion import dropout``.
    """
    found: list[str] = []
    judged: dict[Any, bool] = {}  # by code object: the hook runs at every call, so it must be quick

    def refuse(what: str) -> NoReturn:
        found.append(what)
        raise ReadyMade(
            f"your answer calls the ready-made {what}. Here the point is to build it yourself, from tensors and "
            "their basic operations."
        )

    def watch(frame: Any, event: str, called: Any) -> None:
        if event == "call":
            code = frame.f_code
            if code not in judged:
                judged[code] = _ready_made(frame.f_globals.get("__name__") or "", code.co_name, allow)
            if judged[code]:
                refuse(f"{frame.f_globals['__name__']}.{code.co_qualname}")
        elif event == "c_call" and "dropout" in (name := getattr(called, "__name__", "")) and "torch" not in allow:
            refuse(f"torch.{name}")

    previous = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(previous)
        if found and not isinstance(sys.exception(), ReadyMade):
            refuse(found[0])  # the answer swallowed the refusal


# ---- What checkers ask of an answer


def function(answer: Any) -> Answer:
    """Returns the answer if it is a function."""
    if not isinstance(answer, Answer):
        not_yet(f"give check() the function itself, without calling it; it got {shown(answer)}.")
    return answer


def functions(answer: Any, *names: str) -> list[Answer]:
    """Returns the functions of a dict with exactly these names."""
    if not isinstance(answer, dict) or set(answer) != set(names):
        got = f"the keys {sorted(map(str, answer))}" if isinstance(answer, dict) else shown(answer)
        not_yet(f"give check() a dict with the keys {', '.join(map(repr, names))}; it got {got}.")
    return [function(answer[name]) for name in names]


def tensor(value: Any, what: str) -> Tensor:
    """Returns ``value`` if it is a tensor."""
    if not isinstance(value, Tensor):
        not_yet(f"{what} must be a tensor; it was {shown(value)}.")
    return value


def number(value: Any, what: str) -> float:
    """Returns ``value`` as a float if it is one number."""
    if isinstance(value, Tensor | np.ndarray) and math.prod(value.shape) == 1:
        value = value.item()
    if isinstance(value, bool | str) or not isinstance(value, int | float | np.number):
        not_yet(f"{what} must be one number; it was {shown(value)}.")
    return float(value)


def numbers(value: Any, count: int, what: str) -> list[float]:
    """Returns ``value`` as a list of ``count`` floats."""
    if isinstance(value, Tensor | np.ndarray):
        value = value.tolist()
    if not isinstance(value, list | tuple) or len(value) != count:
        not_yet(f"{what} must be {count} numbers; it was {shown(value)}.")
    return [number(item, what) for item in value]


def integer(g: torch.Generator, low: int, high: int) -> int:
    """Draws a whole number from ``low`` to ``high``, both included."""
    return int(torch.randint(low, high + 1, (), generator=g))


def uniform(g: torch.Generator, low: float, high: float) -> float:
    """Draws a number from ``low`` to ``high``, rounded to four places so that it can be read."""
    return round(low + (high - low) * float(torch.rand((), generator=g)), 4)


def near(got: float, want: float, *, tolerance: float = 1e-5) -> bool:
    """True if two numbers agree within ``tolerance``, relative to the larger of |want| and 1."""
    return abs(got - want) <= tolerance * max(1.0, abs(want))  # a NaN agrees with nothing


def off(draw: Callable[[], Tensor], mean: float, deviation: float) -> float | None:
    """Returns the sample mean if it misses ``mean`` by more than 4 standard errors, twice in a row; else None.

    Args:
        draw: returns a fresh sample of independent values.
        mean: their expected mean under a right answer.
        deviation: their standard deviation under a right answer.

    A right answer is refused with probability below (6.4e-5) squared, about 4e-9.
    """
    got = math.nan
    for _ in range(2):
        sample = draw().double()
        got = float(sample.mean())
        if abs(got - mean) <= 4 * deviation / math.sqrt(sample.numel()):
            return None
    return got
