r"""Dropout as an ensemble: count the thinned subnetworks, enumerate them all, sample them, average them.

With a mask :math:`m` on n units, a network becomes :math:`2^n` thinned subnetworks that share their weights, each with
the probability :math:`\Pr(m) = p^{\text{dropped}} (1-p)^{\text{kept}}`. Two averages of their predictions matter:

* the arithmetic mean :math:`\sum_m \Pr(m)\,P(y \mid m)`, which Monte-Carlo dropout estimates;
* the renormalised geometric mean :math:`\propto \prod_m P(y \mid m)^{\Pr(m)}`, which one scaled pass equals exactly
  whenever the logits are affine in each of the independent masks (Baldi & Sadowski 2013; Goodfellow et al. 2016, 7.12).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from companion.masks import bernoulli, check_p

__all__ = [
    "arithmetic_mean",
    "count_distinct",
    "count_subnetworks",
    "effective_masks",
    "enumerate_masks",
    "expected_visited",
    "geometric_mean",
    "sample_masks",
]

_MOST_UNITS = 24  # 2^24 masks of 24 units are 400 MB: more is a slip, not a wish


def enumerate_masks(n: int, p: float = 0.5, *, device: torch.device | str | None = None) -> tuple[Tensor, Tensor]:
    """All masks of ``n`` units and their probabilities.

    Args:
        n: number of units, from 0 to 24.
        p: probability of dropping a unit, in [0, 1].
        device: where the tensors are made.

    Returns:
        Two tensors. The masks, Tensor[2^n, n] of ``torch.uint8``; row i holds the binary digits of i, so row 0 drops
        everything and the last row keeps everything. Their probabilities, Tensor[2^n] of ``torch.float64``, sum to 1.

    Raises:
        ValueError: if ``n`` is not in [0, 24] or ``p`` not in [0, 1].

    Cost: n bytes and 8 bytes a mask.
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"n must be an int, got {type(n).__name__}")
    if not 0 <= n <= _MOST_UNITS:
        raise ValueError(f"n must be in [0, {_MOST_UNITS}] (2^n masks are made), got {n}")
    p = check_p(p)
    index = torch.arange(2**n, device=device)
    bits = torch.arange(n - 1, -1, -1, device=device)
    masks = ((index[:, None] >> bits) & 1).to(torch.uint8)
    kept = masks.sum(1, dtype=torch.float64)
    weights = torch.pow(1 - p, kept) * torch.pow(torch.tensor(p, dtype=torch.float64, device=device), n - kept)
    return masks, weights


def sample_masks(count: int, n: int, p: float = 0.5, *, generator: torch.Generator | None = None) -> Tensor:
    """``count`` masks of ``n`` units drawn at random.

    Args:
        count: number of masks, at least 1.
        n: number of units.
        p: probability of dropping a unit.
        generator: source of randomness; default: torch's global one.

    Returns:
        Tensor[count, n] of ``torch.uint8``.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    return bernoulli((count, n), p, generator=generator)


def _weights_like(logits: Tensor, weights: Tensor | None) -> Tensor:
    if logits.ndim < 2:
        raise ValueError(f"logits must have the shape (masks, ..., classes), got {tuple(logits.shape)}")
    if weights is None:
        return logits.new_full((logits.shape[0],), 1 / logits.shape[0])
    if weights.shape != logits.shape[:1]:
        raise ValueError(f"weights must have the shape ({logits.shape[0]},), one a mask, got {tuple(weights.shape)}")
    if not bool((weights >= 0).all()) or float(weights.sum()) <= 0:
        raise ValueError("weights must be probabilities: none negative and a positive sum")
    return (weights / weights.sum()).to(logits.dtype)


def arithmetic_mean(logits: Tensor, weights: Tensor | None = None) -> Tensor:
    r"""Arithmetic mean of the subnetworks' predictions, :math:`\sum_m \Pr(m)\,\mathrm{softmax}(a(m))`.

    Args:
        logits: Tensor[masks, ..., classes], one row a subnetwork.
        weights: Tensor[masks], probability of each mask; default: all the same (right for sampled masks).

    Returns:
        Tensor[..., classes] of probabilities.

    Raises:
        ValueError: if the shapes do not fit or a weight is negative.
    """
    weights = _weights_like(logits, weights)
    return torch.einsum("m,m...->...", weights, logits.softmax(-1))


def geometric_mean(logits: Tensor, weights: Tensor | None = None) -> Tensor:
    r"""Renormalised geometric mean of the subnetworks' predictions, :math:`\propto \prod_m P(y \mid m)^{\Pr(m)}`.

    The logarithms :math:`\log P(y \mid m) = a_y(m) - \mathrm{logsumexp}\,a(m)` are averaged; the second term is the
    same for every class and cancels in the normalisation, so that this is the softmax of the averaged logits.

    Args:
        logits: Tensor[masks, ..., classes], one row a subnetwork.
        weights: Tensor[masks], probability of each mask; default: all the same (right for sampled masks).

    Returns:
        Tensor[..., classes] of probabilities.

    Raises:
        ValueError: if the shapes do not fit or a weight is negative.

    Reference: Baldi & Sadowski (2013), sec. 2 (normalised weighted geometric mean).
    """
    weights = _weights_like(logits, weights)
    return torch.einsum("m,m...->...", weights, logits).softmax(-1)


def _check_widths(widths: Sequence[int]) -> list[int]:
    widths = list(widths)
    if not widths or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in widths):
        raise ValueError(f"widths must be a non-empty list of numbers of units, each at least 1, got {widths}")
    return widths


def count_subnetworks(widths: Sequence[int]) -> int:
    """Number of masks of a network whose masked layers have ``widths`` units: 2 to the sum of the widths."""
    return 2 ** sum(_check_widths(widths))


def count_distinct(widths: Sequence[int]) -> int:
    """Number of subnetworks that can differ as functions: with one layer empty, all masks of the others are the same.

    For stacked layers, all masks with at least one empty layer leave the same constant function to what lies behind the
    last empty layer; so they are counted once for each mask of the layers behind it.
    """
    distinct = 1  # what reaches the first masked layer
    for n in _check_widths(widths):
        distinct = distinct * (2**n - 1) + 1  # a non-empty mask keeps what came in apart; the empty one forgets it
    return distinct


def expected_visited(masks: int, draws: int) -> float:
    """Expected number of different masks among ``draws`` draws from ``masks`` equally likely ones, M(1-(1-1/M)^N)."""
    if masks < 1 or draws < 0:
        raise ValueError(f"masks must be at least 1 and draws at least 0, got {masks} and {draws}")
    if masks == 1:
        return float(draws > 0)
    return -masks * math.expm1(draws * math.log1p(-1 / masks))


def effective_masks(n: int, p: float) -> float:
    """Effective number of masks, 2^(n H(p)) with the entropy H in bits: the size of the typical set for n units."""
    p = check_p(p)
    entropy = -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0)
    return 2.0 ** (n * entropy)
