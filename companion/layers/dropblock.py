r"""DropBlock: zeroes contiguous blocks of a feature map, because neighbouring cells can stand in for each other.

Each *seed* fires with the probability :math:`\gamma` and zeroes a block of :math:`k^d` cells; a cell survives if none
of the :math:`n` seeds fired whose block would cover it, so that

.. math:: P(\text{cell dropped}) = 1 - (1 - \gamma)^n

What is asked for is a rate :math:`p` of dropped *cells*. Three ways lead from :math:`p` to :math:`\gamma`, with map
lengths :math:`L_a` and block lengths :math:`k_a = \min(k, L_a)` along the axes :math:`a`:

=========== ======================================= ================================================================
calibrate   seeds                                   rate of seeds :math:`\gamma`
=========== ======================================= ================================================================
``exact``   where a whole block fits                so that the mean of :math:`1-(1-\gamma)^n` over the map is p
``uniform`` wherever a block touches the map        :math:`1 - (1-p)^{1/k^d}`, as :math:`n = k^d` for each cell
``paper``   where a whole block fits                :math:`p \prod_a \frac{L_a}{k_a\,(L_a-k_a+1)}`, at most 1
=========== ======================================= ================================================================

Whole blocks leave the border nearly untouched: at 14 x 14 with k = 7 and p = 0.1 a corner lies under one seed and a
central cell under 49. ``uniform`` drops each cell with probability p and pays with blocks that are cut at the border.
The formula of the paper counts overlapping blocks twice and so drops less than p.
"""

import functools
import math
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from companion.layers.base import DropoutModule, apply_mask, check_input, never_drops
from companion.masks import block_mask, check_block_size, check_p, transformed
from companion.schedules import Ramp

__all__ = ["DropBlock1d", "DropBlock2d", "DropBlock3d", "drop_block", "rate_map", "seed_rate"]

CALIBRATIONS = ("exact", "uniform", "paper")


def drop_block(
    x: Tensor,
    p: float | Tensor = 0.1,
    block_size: int = 7,
    training: bool = True,
    calibrate: str = "exact",
    share_channels: bool = False,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Zeroes blocks of cells in training and scales the kept ones by what was really dropped.

    .. math:: y = \frac{\text{cells}}{\text{kept cells}}\, m\, x \text{ in training},
        \qquad y = x \text{ at evaluation}

    Both counts are taken over the whole mask (all samples and channels), so that the scale follows the draw and not
    :math:`1/(1-p)`: few blocks fall on a batch of small maps, and their number varies much. If nothing is kept the
    output is zero.

    Args:
        x: Tensor[N, C, *spatial] with one to three spatial axes.
        p: probability that a cell is DROPPED, in [0, 1]; a number, or a tensor without dimensions.
        block_size: side k of a block in cells, at least 1, odd or even. Under ``"exact"`` and ``"paper"`` a block
            larger than the map is cut to the map's length along that axis.
        training: whether to drop; with ``False`` the input object itself comes back, as it does at ``p = 0``.
            At ``p = 1`` the output is zero with a zero gradient, whatever ``calibrate`` says.
        calibrate: ``"exact"``: whole blocks, and the mean rate over the map is p; ``"uniform"``: every single cell is
            dropped with probability p, and blocks are cut at the border; ``"paper"``: whole blocks and the formula of
            the paper, which drops less than p. :func:`rate_map` gives the rate of each cell.
        share_channels: one mask for all channels of a sample, instead of one for each.
        generator: source of randomness; default: torch's global one.

    Raises:
        TypeError: if ``x`` is not a floating-point tensor, ``p`` not a number or floating-point tensor, or
            ``block_size`` not an int.
        ValueError: if ``x`` has not 3 to 5 dimensions, ``p`` lies outside [0, 1] or is NaN, ``block_size`` is less
            than 1, or ``calibrate`` is unknown.

    Cost: one byte a cell for the backward pass (divided by C with shared channels); at most one random byte a cell
    (with ``"uniform"``: a place of the padded map), far less when seeds are rare. The seed rate is solved for once for
    each map size, block size and p. On a GPU nothing waits for the host.

    Reference: Ghiasi et al. (2018), sec. 3 and algorithm 1 (there the rate is given by the probability of KEEPING).
    """
    check_input(x)
    p = _check(p, block_size, calibrate)
    if not 3 <= x.ndim <= 5:
        raise ValueError(f"x must have the shape (N, C, *spatial) with 3 to 5 dimensions, got {tuple(x.shape)}")
    if not training or never_drops(p):
        return x
    rate = _seed_rate(p, x.shape[2:], block_size, calibrate)
    padded = calibrate == "uniform"
    mask = block_mask(x, rate, block_size, share_channels=share_channels, padded=padded, generator=generator)
    return apply_mask(x, mask, _scale(mask))


def _scale(mask: Tensor) -> float | Tensor:
    """Cells over kept cells, counted in integers: a sum in the dtype of x ends at 65,504 in float16."""
    if transformed() or mask.device.type != "cpu":
        kept = mask.sum()
        return torch.where(kept > 0, mask.numel() / kept.clamp(min=1).double(), 0)
    cells = mask.view(-1)
    # Eight bytes are added at once as one integer; no byte of a sum of 255 overflows into the next.
    whole = cells.numel() // (8 * 255) * (8 * 255)
    if whole:
        sums = cells[:whole].view(torch.int64).view(-1, 255).sum(1).view(torch.uint8)
        kept = int(sums.sum()) + int(cells[whole:].sum())
    else:
        kept = int(cells.sum())
    return cells.numel() / kept if kept else 0.0


# --- the rate of seeds for a rate of cells ----------------------------------------------------------------------------


def seed_rate(shape: Sequence[int], p: float | Tensor, block_size: int, calibrate: str = "exact") -> float:
    r"""The rate :math:`\gamma` of seeds at which the rate of dropped cells is p, in the sense of ``calibrate``.

    Args:
        shape: lengths of the spatial axes of the map, as in ``x.shape[2:]``.
        p: probability that a cell is dropped, in [0, 1]; a number, or a tensor without dimensions. Here 0 gives 0 and
            1 gives 1.
        block_size: side of a block in cells, at least 1.
        calibrate: ``"exact"``, ``"uniform"`` or ``"paper"``; see :func:`drop_block`.

    Reference: Ghiasi et al. (2018), eq. 1, for ``"paper"``.
    """
    p = float(_check(p, block_size, calibrate))
    return _solve(tuple(int(length) for length in shape), p, block_size, calibrate)


def rate_map(shape: Sequence[int], p: float | Tensor, block_size: int, calibrate: str = "exact") -> Tensor:
    r"""The probability, cell by cell, that :func:`drop_block` drops it; its mean is the realised rate.

    .. math:: P_i = 1 - (1 - \gamma)^{n_i}, \qquad n_i = \prod_a n_{i_a}, \qquad
        n_{i_a} = \min(i_a, L_a - k_a) - \max(0, i_a - k_a + 1) + 1

    and :math:`n_i = k^d` everywhere for ``"uniform"``.

    Args:
        shape: lengths of the spatial axes of the map, as in ``x.shape[2:]``.
        p: probability that a cell is dropped, as given to :func:`drop_block`.
        block_size: side of a block in cells, at least 1.
        calibrate: ``"exact"``, ``"uniform"`` or ``"paper"``; see :func:`drop_block`.

    Returns:
        Tensor[*shape] of ``torch.float64``.
    """
    rate = seed_rate(shape, p, block_size, calibrate)
    seeds = torch.ones((), dtype=torch.float64)
    for length in shape:
        over = [block_size] * length if calibrate == "uniform" else _seeds_over(length, block_size)
        seeds = seeds.unsqueeze(-1) * torch.tensor(over, dtype=torch.float64)
    return -torch.expm1(seeds * torch.log1p(torch.tensor(-rate, dtype=torch.float64)))


def _seeds_over(length: int, block_size: int) -> list[int]:
    """How many whole blocks along one axis cover each of its cells."""
    size = min(block_size, length)
    return [min(i, length - size) - max(0, i - size + 1) + 1 for i in range(length)]


@functools.lru_cache(maxsize=256)
def _shares(shape: tuple[int, ...], block_size: int) -> list[tuple[int, float]]:
    """The distinct numbers of seeds over a cell, each with the share of the cells that lie under so many."""
    shares = {1: 1.0}
    for length in shape:
        longer = Counter()
        for along, times in Counter(_seeds_over(length, block_size)).items():
            for seeds, share in shares.items():
                longer[seeds * along] += share * times / length
        shares = longer
    return sorted(shares.items())


@functools.lru_cache(maxsize=4096)
def _solve(shape: tuple[int, ...], p: float, block_size: int, calibrate: str) -> float:
    if p in (0.0, 1.0) or 0 in shape:
        return p
    if calibrate == "uniform":
        return -math.expm1(math.log1p(-p) / block_size ** len(shape))
    if calibrate == "paper":
        for length in shape:
            size = min(block_size, length)
            p *= length / (size * (length - size + 1))
        return p
    # With u = -log(1 - rate), the log of the mean survival, log sum_j share_j exp(-seeds_j u), is convex and falls from
    # 0: Newton's method from u = 0 climbs to log(1 - p) without ever passing it.
    shares = _shares(shape, block_size)
    u = 0.0
    for _ in range(100):
        survivors = [(seeds, share * math.exp(-seeds * u)) for seeds, share in shares]
        total = math.fsum(share for _, share in survivors)
        slope = math.fsum(seeds * share for seeds, share in survivors) / total
        # Near p = 0 the sum is 1 but for its last digits, near p = 1 the number of lost ones is.
        lost = math.fsum(share * math.expm1(-seeds * u) for seeds, share in shares)
        excess = (math.log1p(lost) if p < 0.5 else math.log(total)) - math.log1p(-p)
        u += excess / slope
        if excess <= 1e-15 * -math.log1p(-p):
            break
    return -math.expm1(-u)


def _check(p: float | Tensor, block_size: int, calibrate: str) -> float | Tensor:
    p = check_p(p)
    if isinstance(p, Tensor) and p.ndim != 0:
        raise ValueError(f"p must be a number or a tensor without dimensions, got the shape {tuple(p.shape)}")
    check_block_size(block_size)
    if calibrate not in CALIBRATIONS:
        raise ValueError(f'calibrate must be "exact", "uniform" or "paper", got {calibrate!r}')
    return p


# The same as an operator of torch, for a rate that the compiler does not see: solved for anew at each call, so that a
# schedule needs one compilation. It has no randomness; that is all in companion.masks.
_library = torch.library.Library("companion", "FRAGMENT")
_library.define("seed_rate(Tensor p, SymInt[] shape, SymInt block_size, str calibrate) -> Tensor")


def _seed_rate(p: float | Tensor, shape: Sequence[int], block_size: int, calibrate: str) -> float | Tensor:
    if torch.compiler.is_compiling() or (isinstance(p, Tensor) and transformed()):
        p = p.detach() if isinstance(p, Tensor) else torch.full((), p, dtype=torch.float64, device="cpu")
        return torch.ops.companion.seed_rate(p, shape, block_size, calibrate)
    return _solve(tuple(shape), float(p), block_size, calibrate)


def _rate_of_tensor(p: Tensor, shape: Sequence[int], block_size: int, calibrate: str) -> Tensor:
    return torch.tensor(seed_rate(shape, p, block_size, calibrate), dtype=torch.float64, device="cpu")


def _rate_of_tensor_vmap(info, in_dims, p: Tensor, shape: Sequence[int], block_size: int, calibrate: str):
    each = [torch.ops.companion.seed_rate(one, shape, block_size, calibrate) for one in p.unbind(in_dims[0])]
    return torch.stack(each), 0


_library.impl("seed_rate", _rate_of_tensor, "CompositeExplicitAutograd")
torch.library.register_fake(
    "companion::seed_rate",
    lambda p, shape, block_size, calibrate: torch.empty((), dtype=torch.float64, device="cpu"),
    lib=_library,
)
torch.library.register_vmap("companion::seed_rate", _rate_of_tensor_vmap, lib=_library)


# --- modules ----------------------------------------------------------------------------------------------------------


class _DropBlock(DropoutModule):
    axes: str

    def __init__(
        self,
        p: float | Ramp = 0.1,
        block_size: int = 7,
        calibrate: str = "exact",
        share_channels: bool = False,
    ) -> None:
        super().__init__(p)
        _check(0.0, block_size, calibrate)
        self.block_size = block_size
        self.calibrate = calibrate
        self.share_channels = share_channels

    def forward(self, x: Tensor) -> Tensor:
        if check_input(x).ndim != 2 + len(self.axes):
            shape = ", ".join(("N", "C", *self.axes))
            raise ValueError(f"x must have the shape ({shape}), got {tuple(x.shape)}")
        return drop_block(x, self.rate(), self.block_size, self.training, self.calibrate, self.share_channels)

    def extra_repr(self) -> str:
        text = f"block_size={self.block_size}, calibrate={self.calibrate!r}, share_channels={self.share_channels}"
        return ", ".join(filter(None, (super().extra_repr(), text)))


class DropBlock1d(_DropBlock):
    """Module form of :func:`drop_block` for sequences.

    Args:
        p: probability that a cell is DROPPED, in [0, 1], or a :class:`companion.schedules.Ramp`.
        block_size: side of a block in cells.
        calibrate: ``"exact"``, ``"uniform"`` or ``"paper"``.
        share_channels: one mask for all channels of a sample.

    Shape: (N, C, L); the output has the input's shape, dtype and device.
    """

    axes = "L"


class DropBlock2d(_DropBlock):
    """Module form of :func:`drop_block` for images.

    Args:
        p: probability that a cell is DROPPED, in [0, 1], or a :class:`companion.schedules.Ramp`.
        block_size: side of a block in cells.
        calibrate: ``"exact"``, ``"uniform"`` or ``"paper"``.
        share_channels: one mask for all channels of a sample.

    Shape: (N, C, H, W); the output has the input's shape, dtype and device.
    """

    axes = "HW"


class DropBlock3d(_DropBlock):
    """Module form of :func:`drop_block` for volumes.

    Args:
        p: probability that a cell is DROPPED, in [0, 1], or a :class:`companion.schedules.Ramp`.
        block_size: side of a block in cells.
        calibrate: ``"exact"``, ``"uniform"`` or ``"paper"``.
        share_channels: one mask for all channels of a sample.

    Shape: (N, C, D, H, W); the output has the input's shape, dtype and device.
    """

    axes = "DHW"
