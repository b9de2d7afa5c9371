"""The course on two pages, as data: what each variant drops and costs, and when to use dropout at all.

The words stand in ``recap.toml``. Shapes of masks are not written down but found in the layers, and evidence is named
by the ids of the claims ledger, so that neither can drift away from what the chapters say.
"""

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from companion.experiments.claims import statements
from companion.layers.dropblock import DropBlock2d
from companion.layers.dropconnect import DropConnectLinear
from companion.layers.dropout import Dropout
from companion.layers.recurrent import EmbeddingDropout, LockedDropout, WeightDrop
from companion.layers.spatial import SpatialDropout2d
from companion.layers.stochastic_depth import DropPath, StochasticDepth

__all__ = ["MaskShape", "Regime", "Variant", "guide", "link", "mask_shape", "variants"]

# What an axis of an input or a weight is called, and how long it is where masks are looked up: all different.
AXES = {"N": 24, "T": 20, "D": 32, "C": 16, "H": 13, "W": 14, "V": 40, "in": 36, "out": 28}


@dataclass(frozen=True)
class Variant:
    """A row of the recap: what is dropped, where it is at its best, what it costs, which claims say so."""

    name: str
    dropped: str
    best: str
    cost: str
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Regime:
    """A row of the decision guide: what one sees, what one does, which claims say so."""

    name: str
    seen: str
    decision: str
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class MaskShape:
    """Shape of a mask for a batch: one name an axis, "1" where a coin holds for all entries of the axis.

    Args:
        input: names of the axes of what is masked.
        mask: the same names, or "1".
        coins: number of coins for the lengths in ``AXES``.
    """

    input: tuple[str, ...]
    mask: tuple[str, ...]
    coins: int

    def __str__(self) -> str:
        # Spaces that do not break: a shape cut in two is hard to read.
        mask, whole = (",\u00a0".join(axes) for axes in (self.mask, self.input))
        return f"({mask}) for ({whole})"


@cache
def _words() -> dict:
    return tomllib.loads((Path(__file__).parent / "recap.toml").read_text(encoding="utf-8"))


def variants() -> list[Variant]:
    """The rows of the recap, in the order of the pieces: units, channels, blocks, weights, steps, branches."""
    return [Variant(**{**row, "evidence": tuple(row["evidence"])}) for row in _words()["variant"]]


def guide() -> list[Regime]:
    """The rows of the decision guide; the first that fits is to be taken."""
    return [Regime(**{**row, "evidence": tuple(row["evidence"])}) for row in _words()["regime"]]


def link(claim: str) -> str:
    """Address of a claim's judgement, seen from a chapter's page.

    Raises:
        KeyError: if there is no such claim.
    """
    if claim not in statements():
        raise KeyError(f"claim must be an id of claims.toml, got {claim!r}")
    return f"{_words()['pages'][statements()[claim]['chapter']]}.html#claim-{claim.lower()}"


# --- masks, looked up -------------------------------------------------------------------------------------------------


def _shared(values: Tensor) -> tuple[int, ...]:
    """Shape of ``values`` with length 1 for each axis along which all entries are equal."""
    same = [bool((values == values.narrow(axis, 0, 1)).all()) for axis in range(values.ndim)]
    return tuple(1 if one else length for one, length in zip(same, values.shape, strict=True))


def _activations(layer: nn.Module, axes: str) -> Callable[[], Tensor]:
    """The mask on activations: what becomes of ones."""
    return lambda: layer(torch.ones([AXES[axis] for axis in axes.split()])) != 0


def _weights(layer: nn.Module, weight: nn.Parameter, outputs: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The mask on a weight, example by example: entries that an example's output does not depend on."""

    def look() -> Tensor:
        found = outputs()
        grads = [torch.autograd.grad(found[n].sum(), weight, retain_graph=True)[0] for n in range(4)]
        # Four examples tell whether the batch shares its mask; the others are like them.
        seen = torch.stack([grad != 0 for grad in grads])
        return seen.repeat(AXES["N"] // 4, *(1,) * weight.ndim)

    return look


def _cases() -> Mapping[str, tuple[str, Callable[[], Tensor]]]:
    """Variant -> axes of what is masked, and a function that draws its mask for a batch."""
    size = AXES
    dense = DropConnectLinear(size["in"], size["out"], p=0.5)
    recurrent = WeightDrop(nn.RNN(size["in"], size["D"], batch_first=True), p=0.5)
    words = EmbeddingDropout(nn.Embedding(size["V"], size["D"]), p=0.5)
    nn.init.ones_(words.weight)
    ids = torch.arange(size["V"]).repeat(size["N"], 1)
    sequences = torch.randn(size["N"], size["T"], size["in"])
    whole = StochasticDepth(torch.ones_like, p=0.5, mode="batch")
    return {
        "dropout": ("N D", _activations(Dropout(0.5), "N D")),
        "spatial dropout": ("N C H W", _activations(SpatialDropout2d(0.5), "N C H W")),
        "DropBlock": ("N C H W", _activations(DropBlock2d(0.3, 3), "N C H W")),
        "DropConnect": ("N out in", _weights(dense, dense.weight, lambda: dense(torch.randn(size["N"], size["in"])))),
        "weight drop": (
            "N D D",
            _weights(recurrent, recurrent.module.weight_hh_l0, lambda: recurrent(sequences)[0]),
        ),
        "locked dropout": ("N T D", _activations(LockedDropout(0.5), "N T D")),
        "embedding dropout": ("N V D", lambda: words(ids) != 0),
        "stochastic depth": (
            "N C H W",
            lambda: whole(torch.zeros(size["N"], size["C"], size["H"], size["W"])) != 0,
        ),
        "DropPath": ("N C H W", _activations(DropPath(0.5), "N C H W")),
    }


def mask_shape(name: str, seed: int = 0) -> MaskShape:
    """Shape of the mask of a variant's layer, found by looking which entries always share their coin.

    Args:
        name: name of a variant.
        seed: seed of the coins.

    Raises:
        KeyError: if there is no such variant.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        cases = _cases()
        if name not in cases:
            raise KeyError(f"name must be one of {sorted(cases)}, got {name!r}")
        axes, draw = cases[name]
        # One draw of a single coin says nothing about sharing by chance; an axis is shared if it is so in all draws.
        lengths = [max(column) for column in zip(*(_shared(draw()) for _ in range(3)), strict=True)]
    letters = tuple(axes.split())
    mask = tuple("1" if length == 1 else letter for letter, length in zip(letters, lengths, strict=True))
    return MaskShape(letters, mask, math.prod(AXES[letter] for letter in mask if letter != "1"))
