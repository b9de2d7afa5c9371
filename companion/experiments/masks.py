r"""Chapter 02: what a masked sum does over all masks, and which ways of throwing the coin keep the promised share.

Signs predicted before running. Comparisons of uniform numbers with p lose the tie when they are strict the wrong way:
on a grid of N values ``u > p`` keeps 1/N too few. In float32 (N = 2^24) nobody sees it, in float16 and bfloat16 the
kept share lies below the band of four standard errors. ``bernoulli_`` and the companion's own coin stay inside it.
"""

import math
import operator
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from companion import masks
from companion.ensembles import enumerate_masks
from companion.experiments.protocol import Record, make_record

__all__ = [
    "EXPERIMENTS",
    "METHODS",
    "SIX_UNITS",
    "MaskedSum",
    "grid_probability",
    "kept_share",
    "kinds",
    "masked_sum",
    "rounded_share",
]

SIX_UNITS = (2.0, -1.0, 3.0, 0.5, -2.0, 1.0)
METHODS = ("rand > p", "rand < k", "bernoulli_(k)", "companion")
_COMPARISONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


@dataclass(frozen=True)
class MaskedSum:
    """The masked sums of a few units over all masks.

    Args:
        sums: Tensor[2^n] of float64, one a mask, in the order of :func:`companion.ensembles.enumerate_masks`.
        weights: Tensor[2^n] of float64, the probability of each mask.
        kept: Tensor[2^n], how many units each mask keeps.
        full: the sum of all units.
    """

    sums: Tensor
    weights: Tensor
    kept: Tensor
    full: float

    @property
    def mean(self) -> float:
        return float(self.weights @ self.sums)

    @property
    def deviation(self) -> float:
        return math.sqrt(float(self.weights @ (self.sums - self.mean) ** 2))

    def given_kept(self, count: int) -> "MaskedSum":
        """The same over the masks that keep exactly ``count`` units."""
        chosen = self.kept == count
        weights = self.weights[chosen]
        return MaskedSum(self.sums[chosen], weights / weights.sum(), self.kept[chosen], self.full)


def masked_sum(x: Sequence[float], p: float, *, inverted: bool = False) -> MaskedSum:
    r"""Enumerates :math:`\sum_j m_j x_j` over all masks; mean :math:`k\sum x_j`, variance :math:`pk\sum x_j^2`.

    Args:
        x: the units' values, at most 24.
        p: probability of dropping.
        inverted: divide by k, which makes the mean :math:`\sum x_j` and the variance :math:`(p/k)\sum x_j^2`.
    """
    values = torch.tensor(x, dtype=torch.float64)
    all_masks, weights = enumerate_masks(len(x), p)
    sums = all_masks.double() @ values
    if inverted:
        sums = sums / (1 - p)
    return MaskedSum(sums, weights, all_masks.sum(1), float(values.sum()))


def grid_probability(comparison: str, threshold: Fraction | float, bits: int) -> Fraction:
    """P(u ``comparison`` threshold) for u uniform on the ``2**bits`` values 0, 1/N, ..., (N-1)/N, counted exactly.

    Args:
        comparison: ">", ">=", "<" or "<=".
        threshold: what u is compared with; a float counts as the exact fraction that it stores.
        bits: width of the grid, at most 24.
    """
    if comparison not in _COMPARISONS:
        raise ValueError(f"comparison must be one of {sorted(_COMPARISONS)}, got {comparison!r}")
    if not 1 <= bits <= 24:
        raise ValueError(f"bits must be in [1, 24], got {bits}")
    size = 2**bits
    # u = i/N is compared with the threshold t as i with N t, and floor and ceil of N t count the i.
    scaled = Fraction(threshold) * size
    below = min(max(math.ceil(scaled), 0), size)  # number of i < N t
    up_to = min(max(math.floor(scaled) + 1, 0), size)  # number of i <= N t
    count = {"<": below, "<=": up_to, ">": size - up_to, ">=": size - below}[comparison]
    return Fraction(count, size)


def rounded_share(method: str, p: float, dtype: torch.dtype) -> float:
    """The exact share that a comparison keeps when uniform numbers are rounded to ``dtype``, over all 2^24 of them.

    This is how torch draws: a number of 24 random bits is rounded to the nearest number of ``dtype``, and what would
    become 1 becomes 0.

    Args:
        method: "rand > p" or "rand < k".
        p: probability of dropping; rounded to ``dtype`` by the comparison, as in torch.
        dtype: a floating-point type of at most 24 significant bits.
    """
    if method not in METHODS[:2]:
        raise ValueError(f"method must be one of {METHODS[:2]}, got {method!r}")
    u = (torch.arange(2**24, dtype=torch.float32) / 2**24).to(dtype)
    u[u == 1] = 0
    kept = u > p if method == "rand > p" else u < 1 - p
    return torch.count_nonzero(kept).item() / 2**24


def kinds(p: float = 0.5, seed: int = 0) -> list[dict[str, str]]:
    """One row for every kind of mask: what one coin decides about, and the shapes of tensor and mask."""
    generator = torch.Generator().manual_seed(seed)
    images, weight, sequence = torch.empty(8, 16, 14, 14), torch.empty(32, 64), torch.empty(8, 20, 64)
    rows = [
        ("element", "one number", images, masks.element_mask(images, p, generator=generator), "02"),
        ("channel", "one feature map", images, masks.channel_mask(images, p, generator=generator), "05"),
        ("block", "a square of cells", images, masks.block_mask(images, 0.01, 3, generator=generator), "08"),
        ("sample", "one example", images, masks.sample_mask(images, p, generator=generator), "07"),
        ("step", "a unit, for all steps", sequence, masks.step_mask(sequence, p, 1, generator=generator), "13"),
        ("weight", "one wire", weight, masks.weight_mask(weight, p, generator=generator), "06"),
        (
            "weight per example",
            "one wire of one example",
            weight,
            masks.weight_mask(weight, p, examples=8, generator=generator),
            "06",
        ),
    ]
    return [
        {
            "kind": kind,
            "one coin decides about": decides,
            "tensor": "×".join(map(str, x.shape)),
            "mask": "×".join(map(str, mask.shape)),
            "chapter": chapter,
        }
        for kind, decides, x, mask, chapter in rows
    ]


def _draw(method: str, p: float, n: int, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    if method == "rand > p":
        return torch.rand(n, dtype=dtype, generator=generator) > p
    if method == "rand < k":
        return torch.rand(n, dtype=dtype, generator=generator) < 1 - p
    if method == "bernoulli_(k)":
        return torch.empty(n, dtype=dtype).bernoulli_(1 - p, generator=generator)
    return masks.bernoulli((n,), p, generator=generator)


def kept_share(
    *,
    rates: Sequence[float] = (0.5, 0.1),
    dtypes: Sequence[torch.dtype] = (torch.float32, torch.float16, torch.bfloat16),
    draws: int = 4_000_000,
    seeds: Sequence[int] = tuple(range(8)),
) -> Record:
    """Question: which ways of throwing the coin keep the share k = 1 - p that they promise, in which precision?

    Arms: ``rand > p``, ``rand < k``, ``bernoulli_(k)`` and the companion's :func:`companion.masks.bernoulli`, which
    never holds a uniform number in 16 bits. Predicted before running: ``rand > p`` lies 2^-b too low for b significant
    bits, so below the band of four standard errors in both 16-bit formats; the last two arms lie inside it.

    Args:
        rates: probabilities of dropping.
        dtypes: precision of the uniform numbers, and of the tensor that ``bernoulli_`` fills.
        draws: coins a seed.
        seeds: one generator a seed.

    The record's tolerance is 8 binomial standard errors: another processor may draw other numbers.
    """
    started = time.perf_counter()
    metrics: dict[str, dict[str, list[float]]] = {}
    tolerance = {}
    for p in rates:
        error = math.sqrt(p * (1 - p) / (draws * len(seeds)))
        for dtype in dtypes:
            name = f"k = {1 - p:g}, {str(dtype).removeprefix('torch.')}"
            tolerance[name] = 8 * error
            metrics[name] = {}
            for method in METHODS:
                generators = [torch.Generator().manual_seed(seed) for seed in seeds]
                metrics[name][method] = [
                    torch.count_nonzero(_draw(method, p, draws, dtype, g)).item() / draws for g in generators
                ]
    return make_record(
        "kept-share",
        started=started,
        task="share of kept units",
        arms=METHODS,
        seeds=seeds,
        budget={"coins a seed": draws},
        metrics=metrics,
        tolerance=tolerance,
    )


EXPERIMENTS = {"kept-share": kept_share}
