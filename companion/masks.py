r"""Masks: the only place of the companion where randomness lives.

A mask is a ``uint8`` tensor of ones (kept) and zeros (dropped), drawn entry by entry and independently:
:math:`m \sim \mathrm{Bernoulli}(1-p)`, where :math:`p` is the probability of DROPPING. The kinds of mask differ only in
*what one coin decides about*: an element, a channel, a sample, all steps of a sequence, a weight, a block of cells.
Each function below names its kind and returns a mask that broadcasts against the tensor that it is for.

How a coin is thrown. A comparison of a uniform number with ``p`` is only as exact as the uniform number: on a grid of
256 values ``u > p`` keeps with probability 0.496 instead of 0.5, and a 16-bit uniform cannot hold 0.9 at all. A uniform
number of 53 bits is exact but slow. So many coins are thrown in two independent stages, with t = floor(256 p):

* one random byte B a coin: B < t drops, which has probability t / 256;
* a second process that drops with the small probability q = (p - t/256) / (1 - t/256). Its hits are rare, so it is
  cheaper to draw how many there are and where they fall than to ask coin by coin.

Together 1 - (1 - t/256)(1 - q) = p, as exactly as 53 bits hold it, for one byte of randomness a coin. (Above p = 0.5
the same is done for the rarer side, keeping; at p = 0.5 a single random bit is a coin.) Few coins, or coins on a GPU,
come from torch's own Bernoulli draw. On the CPU all numbers are of torch's Mersenne twister, so that a seed gives the
same mask on every CPU and for any number of threads. (Where torch has a vendor's Bernoulli draw, that one costs a
thread no less, and gives other masks.)
"""

import functools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "bernoulli",
    "block_mask",
    "channel_mask",
    "check_p",
    "coin",
    "element_mask",
    "normal_like",
    "rare_hits",
    "sample_mask",
    "step_mask",
    "weight_mask",
    "word_mask",
]


def transformed() -> bool:
    """Whether plain Python does not see the numbers: in torch.compile, in torch.func, or with fake tensors."""
    return (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or torch._C._len_torch_dispatch_stack() > 0
    )


def check_p(p: float | Tensor, name: str = "p") -> float | Tensor:
    """Returns ``p``, or raises an error that names it.

    Args:
        p: probability of dropping: a number, or a tensor of numbers (one rate a model, say), each in [0, 1].
        name: what the error message calls it.

    Raises:
        TypeError: if ``p`` is neither a real number nor a floating-point tensor.
        ValueError: if a value lies outside [0, 1] or is NaN.
    """
    if isinstance(p, Tensor):
        if not p.is_floating_point():
            raise TypeError(f"{name} must be a float or a floating-point tensor, got a tensor of {p.dtype}")
        # Values are unknown while compiling or under vmap: there the draw itself calls this again and sees them.
        if not transformed() and not bool(((p >= 0) & (p <= 1)).all()):
            raise ValueError(f"{name} must be in [0, 1], got values from {p.min().item()} to {p.max().item()}")
        return p
    if isinstance(p, bool) or not isinstance(p, int | float):
        raise TypeError(f"{name} must be a float or a floating-point tensor, got {type(p).__name__}")
    if not 0 <= p <= 1:  # NaN fails this comparison too
        raise ValueError(f"{name} must be in [0, 1], got {p}")
    return float(p)


# Below this many coins the fixed cost of the two stages is more than they save.
FEW = 8192


def _random_bytes(n: int, generator: torch.Generator | None) -> Tensor:
    words = torch.empty((n + 7) // 8, dtype=torch.int64, device="cpu")
    # The range must be all 64 bits: with any other, the top byte of each word is not uniform.
    words.random_(-(2**63), None, generator=generator)
    # Fewer operations where none is needed: in a tensor of middle size, each costs as much as a thousand coins.
    return words.view(torch.uint8)[:n] if n % 8 else words.view(torch.uint8)


# Byte b as eight bytes: its bits, in one 64-bit word for each b.
_BITS = torch.arange(256, device="cpu").unsqueeze(1) >> torch.arange(8, device="cpu")
_BITS = (_BITS & 1).to(torch.uint8).view(torch.int64).view(256)


def _fair_coins(n: int, generator: torch.Generator | None) -> Tensor:
    of_eight = _random_bytes((n + 7) // 8, generator).to(torch.int32)
    return _BITS.index_select(0, of_eight).view(torch.uint8)[:n]


def rare_hits(n: int, q: float, *, generator: torch.Generator | None = None) -> Tensor:
    r"""Which of ``n`` independent coins of probability ``q`` hit, found without throwing the others.

    Balls fall on the coins, each on any of them alike, in a number that is a Poisson draw of mean :math:`n\lambda` with
    :math:`\lambda = -\ln(1-q)`. Then each coin receives a Poisson number of mean :math:`\lambda`, independently of the
    others, and none with probability :math:`e^{-\lambda} = 1-q`.

    Args:
        n: number of coins.
        q: probability of a hit, in [0, 1).
        generator: source of randomness on the CPU; default: torch's global one.

    Returns:
        Tensor[balls] of ``torch.int64`` on the CPU: positions in no order; one that was hit twice stands there twice.

    Raises:
        ValueError: if ``q`` lies outside [0, 1) or is NaN.

    Cost: one random word a ball; worth it for ``q`` below about 0.05.
    """
    if not 0 <= q < 1:
        raise ValueError(f"q must be in [0, 1), got {q}")
    if n == 0 or q == 0:
        return torch.empty(0, dtype=torch.int64, device="cpu")
    balls = int(torch.poisson(constant(-n * math.log1p(-q)), generator=generator))
    # 63 random bits, so that the remainder is uniform up to n / 2^63.
    return torch.empty(balls, dtype=torch.int64, device="cpu").random_(generator=generator).remainder_(n)


@functools.lru_cache(maxsize=256)
def constant(value: float, dtype: torch.dtype = torch.float64) -> Tensor:
    """The number as a tensor without dimensions: a small operation takes it in half the time of a Python number."""
    with torch.inference_mode(False):  # kept for later calls, which may need a gradient
        return torch.tensor(value, dtype=torch.promote_types(dtype, torch.float32), device="cpu")


def bernoulli(
    shape: Sequence[int],
    p: float | Tensor,
    *,
    device: torch.device | str | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Draws independent coins: 0 (dropped) with probability ``p``, else 1 (kept).

    Args:
        shape: shape of the mask.
        p: probability of dropping, in [0, 1]; a number, or a tensor that broadcasts to ``shape``.
        device: where the mask is made; default: the generator's device, else the CPU.
        generator: source of randomness; default: torch's global one.

    Returns:
        Tensor[*shape] of ``torch.uint8``. At ``p = 0`` all ones and at ``p = 1`` all zeros, without a draw.

    Raises:
        TypeError, ValueError: if ``p`` is not a probability; see :func:`check_p`.

    Cost: on the CPU one random byte a coin, and one random word for one coin in 128 at most; at ``p = 0.5`` one random
    bit a coin; fewer than ``FEW`` coins take 53 bits each. On a GPU one fused kernel, exact to 24 bits.
    """
    if device is None:
        device = generator.device if generator is not None else "cpu"
    return _throw(torch.Size(shape), check_p(p), torch.device(device), generator)


def _throw(shape: torch.Size, p: float | Tensor, device: torch.device, generator: torch.Generator | None) -> Tensor:
    n = shape.numel()
    if isinstance(p, Tensor) and p.ndim == 0 and p.device.type == "cpu":
        p = float(p)
    if isinstance(p, float) and p in (0.0, 1.0):
        return torch.full(shape, int(p == 0), dtype=torch.uint8, device=device)
    if n < FEW or device.type != "cpu":
        # On the CPU the form with a tensor throws the same coins on every processor; the form with a number does not.
        if isinstance(p, Tensor):
            rate = p.detach().to(device=device, dtype=torch.float64)
        else:  # (What is made inside a transform belongs to it and must not stay in a cache.)
            rate = torch.tensor(p, dtype=torch.float64, device="cpu") if transformed() else constant(p)
        dropped = torch.empty(shape, dtype=torch.bool, device=device)
        dropped.bernoulli_(p if isinstance(p, float) and device.type != "cpu" else rate, generator=generator)
        return dropped.logical_not_().view(torch.uint8)
    if isinstance(p, float):
        if p == 0.5:
            return _fair_coins(n, generator).view(shape)
        rare = min(p, 1 - p)
        t = math.floor(256 * rare)
        common = _random_bytes(n, generator).ge_(t) if t else torch.ones(n, dtype=torch.uint8, device="cpu")
        if 256 * rare > t:
            common.index_fill_(0, rare_hits(n, (256 * rare - t) / (256 - t), generator=generator), 0)
        return (common if p <= 0.5 else common.bitwise_xor_(1)).view(shape)
    p = p.detach().to(torch.float64)
    rare = torch.minimum(p, 1 - p)
    t = (256 * rare).floor()
    q = (256 * rare - t) / (256 - t)
    common = (_random_bytes(n, generator).view(shape) >= t.to(torch.uint8)).view(torch.uint8)
    # One process for all rates: its balls, which fall at the largest rate, count with the probability rate / largest.
    at = rare_hits(n, float(q.max()), generator=generator)
    balls = -torch.log1p(-q)
    chance = torch.rand(at.shape, dtype=torch.float64, device="cpu", generator=generator) * balls.max()
    accepted = chance < balls.expand(shape)[torch.unravel_index(at, shape)]
    common.view(-1).index_fill_(0, at[accepted], 0)
    return common ^ (p > 0.5)


# The same draws as operators of torch, for where plain Python cannot run: the compiler must neither trace into the
# second stage, whose size depends on the first, nor repeat a draw; and vmap must draw anew for each example.
# The compiler also merges equal calls of operators that it does not know to be random; ``stamp``, an empty tensor made
# for each draw, tells them apart.
_library = torch.library.Library("companion", "DEF")
_library.define(
    "mask(Tensor like, Tensor stamp, SymInt[] shape, float p, Tensor? rates) -> Tensor",
    tags=(torch.Tag.nondeterministic_seeded,),
)
_library.define(
    "normal(Tensor like, Tensor stamp, SymInt[] shape) -> Tensor", tags=(torch.Tag.nondeterministic_seeded,)
)


def _draw(like: Tensor, stamp: Tensor, shape: Sequence[int], p: float, rates: Tensor | None) -> Tensor:
    return bernoulli(shape, p if rates is None else rates, device=like.device)


def _draw_vmap(info, in_dims, like: Tensor, stamp: Tensor, shape: Sequence[int], p: float, rates: Tensor | None):
    if in_dims[4] is not None:
        rates = rates.movedim(in_dims[4], 0)
        rates = rates.reshape(rates.shape[0], *(1,) * (len(shape) + 1 - rates.ndim), *rates.shape[1:])
    if info.randomness == "same" and in_dims[4] is None:
        return torch.ops.companion.mask(like, stamp, shape, p, rates), None
    return torch.ops.companion.mask(like, stamp, (info.batch_size, *shape), p, rates), 0


def _normal(like: Tensor, stamp: Tensor, shape: Sequence[int]) -> Tensor:
    return torch.randn(shape, dtype=like.dtype, device=like.device)


def _normal_vmap(info, in_dims, like: Tensor, stamp: Tensor, shape: Sequence[int]):
    if info.randomness == "same":
        return torch.ops.companion.normal(like, stamp, shape), None
    return torch.ops.companion.normal(like, stamp, (info.batch_size, *shape)), 0


_library.impl("mask", _draw, "CompositeExplicitAutograd")
_library.impl("normal", _normal, "CompositeExplicitAutograd")
torch.library.register_fake(
    "companion::mask",
    lambda like, stamp, shape, p, rates: like.new_empty(shape, dtype=torch.uint8),
    lib=_library,
)
torch.library.register_fake("companion::normal", lambda like, stamp, shape: like.new_empty(shape), lib=_library)
torch.library.register_vmap("companion::mask", _draw_vmap, lib=_library)
torch.library.register_vmap("companion::normal", _normal_vmap, lib=_library)


def _stamp(x: Tensor) -> Tensor:
    # vmap passes over the rule of an operator none of whose inputs has its axis: all examples would share one mask.
    # No random numbers, but asked of torch, have that axis where examples are to differ; and where vmap was not told
    # whether they are, torch refuses them.
    if torch._C._are_functorch_transforms_active():
        return torch.rand(0, device=x.device)
    return torch.empty(0, device=x.device)


def _like(x: Tensor, shape: Sequence[int], p: float | Tensor, generator: torch.Generator | None) -> Tensor:
    if generator is None and transformed():
        rates = p.detach() if isinstance(p, Tensor) else None
        stamp = _stamp(x)
        return torch.ops.companion.mask(x.detach(), stamp, shape, 0.0 if rates is not None else check_p(p), rates)
    return bernoulli(shape, p, device=x.device, generator=generator)


def element_mask(x: Tensor, p: float | Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """One coin an element: mask of the shape of ``x``. The mask of ordinary dropout (Srivastava et al. 2014, sec. 4).

    Args:
        x: Tensor of any shape; only shape and device are used.
        p: probability of dropping; a number, or a tensor that broadcasts against ``x``.
        generator: source of randomness; default: torch's global one.
    """
    return _like(x, x.shape, p, generator)


def normal_like(x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """One standard normal number an element: not a mask, but the noise that takes its place in Gaussian dropout.

    Args:
        x: Tensor of any shape; only shape, dtype and device are used.
        generator: source of randomness; default: torch's global one.
    """
    if generator is None and transformed():
        return torch.ops.companion.normal(x.detach(), _stamp(x), x.shape)
    return torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator)


def coin(p: float | Tensor, *, generator: torch.Generator | None = None) -> bool:
    """One coin for everything, thrown on the CPU so that the host can act on it: True is kept.

    Args:
        p: probability of dropping; a number, or a tensor without dimensions.
        generator: source of randomness on the CPU; default: torch's global one.
    """
    if p.__class__ is float and 0 < p < 1 and not transformed():  # the same coin with nothing around it
        return not torch.bernoulli(constant(p), generator=generator).item()
    return bool(_like(torch.empty(0, device="cpu"), (), p, generator))


def channel_mask(x: Tensor, p: float, *, generator: torch.Generator | None = None) -> Tensor:
    """One coin a channel of a sample: (N, C, *spatial) gives a mask (N, C, 1, ..., 1). (Tompson et al. 2015, sec. 3.)

    Args:
        x: Tensor[N, C, *spatial] with at least one spatial axis.
        p: probability of dropping a channel.
        generator: source of randomness; default: torch's global one.
    """
    if x.ndim < 3:
        raise ValueError(f"x must have the shape (N, C, *spatial) with 3 or more dimensions, got {tuple(x.shape)}")
    return _like(x, (*x.shape[:2], *(1,) * (x.ndim - 2)), p, generator)


def sample_mask(x: Tensor, p: float, *, generator: torch.Generator | None = None) -> Tensor:
    """One coin a sample: (N, *) gives a mask (N, 1, ..., 1). (Huang et al. 2016, sec. 3; per sample as in DropPath.)

    Args:
        x: Tensor[N, *] with at least one dimension.
        p: probability of dropping a whole sample.
        generator: source of randomness; default: torch's global one.
    """
    if x.ndim < 1:
        raise ValueError("x must have the shape (N, *) with 1 or more dimensions, got a scalar")
    return _like(x, (x.shape[0], *(1,) * (x.ndim - 1)), p, generator)


def step_mask(x: Tensor, p: float, axis: int, *, generator: torch.Generator | None = None) -> Tensor:
    """One coin for all steps: the mask has length 1 along ``axis``, so that every step sees the same one.

    The locked (variational) mask of Gal & Ghahramani 2016, sec. 3.

    Args:
        x: Tensor with the time steps along ``axis``.
        p: probability of dropping.
        axis: the time axis of ``x``; negative values count from the end.
        generator: source of randomness; default: torch's global one.
    """
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis must be an axis of x, which has {x.ndim} dimensions, got {axis}")
    shape = list(x.shape)
    shape[axis] = 1
    return _like(x, shape, p, generator)


def weight_mask(
    weight: Tensor, p: float, *, examples: int | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """One coin a weight: a mask of the weight's shape, or one for each example. (Wan et al. 2013, sec. 3.)

    Args:
        weight: Tensor of any shape; only shape and device are used.
        p: probability of dropping a weight.
        examples: B gives a mask (B, *weight.shape); default: one mask for the whole batch.
        generator: source of randomness; default: torch's global one.
    """
    if examples is not None and examples < 1:
        raise ValueError(f"examples must be at least 1, got {examples}")
    shape = weight.shape if examples is None else (examples, *weight.shape)
    return _like(weight, shape, p, generator)


def word_mask(ids: Tensor, p: float | Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    r"""One coin a word: equal ids share it, absent words cost nothing. (Gal & Ghahramani 2016, sec. 4.2.)

    A draw is 64 random bits, the key. The coin of word i is a hash of key and i: the output of SplitMix64 at place i of
    the stream that begins at the key, whose upper 53 bits are compared with p.

    Args:
        ids: Tensor of any shape of ``torch.int64`` or ``torch.int32``.
        p: probability of dropping a word; a number, or a tensor without dimensions.
        generator: source of randomness; default: torch's global one.

    Returns:
        Tensor[*ids.shape] of ``torch.uint8``.

    Raises:
        TypeError: if ``ids`` is not a tensor of these integers.
        TypeError, ValueError: if ``p`` is not a probability; see :func:`check_p`.

    Cost: a dozen passes over the ids, whatever the size of the vocabulary.

    Reference: Steele, Lea & Flood (2014), fig. 17 (SplitMix64).
    """
    check_ids(ids)
    p = check_p(p)
    bits = _like(ids, (64,), 0.5, generator).to(torch.int64)
    key = (bits << torch.arange(64, device=ids.device)).sum(-1)
    z = key + (ids.to(torch.int64) + 1) * _signed(0x9E3779B97F4A7C15)  # 64-bit integers wrap around, as they must here
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ _shifted(z, shift)) * _signed(factor)
    uniform = _shifted(z ^ _shifted(z, 31), 11)
    border = p.detach().to(device=ids.device, dtype=torch.float64) if isinstance(p, Tensor) else p
    return (uniform.to(torch.float64) >= border * 2.0**53).to(torch.uint8)


def check_ids(ids: Tensor) -> Tensor:
    """Returns ``ids``, or raises a TypeError that names them."""
    if not isinstance(ids, Tensor) or ids.dtype not in (torch.int64, torch.int32):
        got = f"a tensor of {ids.dtype}" if isinstance(ids, Tensor) else type(ids).__name__
        raise TypeError(f"ids must be a tensor of torch.int64 or torch.int32, got {got}")
    return ids


def _signed(word: int) -> int:
    """The integer of 64 bits with a sign that has the bits of ``word``."""
    return word - (1 << 64) if word >> 63 else word


def _shifted(z: Tensor, places: int) -> Tensor:
    """``z`` shifted to the right, with zeros coming in from the left instead of copies of the sign."""
    return (z >> places) & ((1 << (64 - places)) - 1)


def block_mask(
    x: Tensor,
    seed_rate: float | Tensor,
    block_size: int,
    *,
    share_channels: bool = False,
    padded: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One coin a block: each seed that fires zeroes ``block_size`` cells along each axis.

    ``seed_rate`` is the rate of the seeds (gamma of Ghiasi et al. 2018, sec. 3), not of the dropped cells: blocks are
    large and overlap. Seeds are thrown where a whole block fits, so that every block is complete and a cell at the
    border lies under fewer seeds than one in the centre; a block larger than the map is cut to the map's size along
    that axis. With ``padded`` they are thrown wherever a block would touch the map, so that every cell lies under
    equally many, and what sticks out of the map is cut off.

    Args:
        x: Tensor[N, C, *spatial] with one to three spatial axes.
        seed_rate: probability that a seed fires, in [0, 1]; a number, or a tensor without dimensions.
        block_size: side of a block in cells, at least 1; even sizes are allowed.
        share_channels: one mask (N, 1, *spatial) for all channels of a sample.
        padded: whether seeds are also thrown outside the map, up to ``block_size - 1`` cells before its first cell.
        generator: source of randomness; default: torch's global one.

    Returns:
        Tensor[N, C or 1, *spatial] of ``torch.uint8``.

    Cost: one coin a seed, and for every axis log2(``block_size``) passes over one byte a cell.
    """
    if not 3 <= x.ndim <= 5:
        raise ValueError(f"x must have the shape (N, C, *spatial) with 3 to 5 dimensions, got {tuple(x.shape)}")
    check_block_size(block_size)
    check_p(seed_rate, "seed_rate")
    shape = (x.shape[0], 1 if share_channels else x.shape[1], *x.shape[2:])
    if generator is None and transformed():
        rates = seed_rate.detach() if isinstance(seed_rate, Tensor) else None
        stamp = _stamp(x)
        rate = 0.0 if rates is not None else seed_rate
        return torch.ops.companion.block(x.detach(), stamp, shape, rate, rates, block_size, padded)
    return _throw_blocks(shape, float(seed_rate), block_size, padded, x.device, generator)


def check_block_size(block_size: int) -> int:
    """Returns ``block_size``, or raises an error that names it."""
    if isinstance(block_size, bool) or not isinstance(block_size, int):
        raise TypeError(f"block_size must be an int, got {type(block_size).__name__}")
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    return block_size


# Up to this many pairs of a seed and a cell, one matrix product costs less than the passes over the map.
FEW_PAIRS = 1 << 18


@functools.lru_cache(maxsize=32)
def _cover(lengths: tuple[int, ...], block_size: int, padded: bool) -> tuple[Tensor, Tensor]:
    """Which seed (row) covers which cell (column), and how many cover each: a cell is kept if all of them are."""
    cover = torch.ones(1, 1, device="cpu")
    for length in lengths:
        size = min(block_size, length)
        first = torch.arange(*((1 - size, length) if padded else (0, length - size + 1)), device="cpu")
        behind = torch.arange(length, device="cpu") - first.unsqueeze(1)
        cover = torch.kron(cover, ((behind >= 0) & (behind < size)).float())
    return cover, cover.sum(0)


@functools.lru_cache(maxsize=256)
def _windows(lengths: tuple[int, ...], block_size: int, padded: bool) -> tuple[list[int], list[int], list[int]]:
    """The places of seeds along each axis, the lengths of the array in which they are spread, and its shifts."""
    sizes = [min(block_size, length) for length in lengths]
    reach = 1 if padded else -1
    places = [length + reach * (size - 1) for length, size in zip(lengths, sizes, strict=True)]
    grid = places if padded else list(lengths)
    shifts, stride = [], 1
    for length, size in zip(reversed(grid), reversed(sizes), strict=True):
        window = 1
        while window < size:
            step = min(window, size - window)
            shifts.append(step * stride)
            window += step
        stride *= length
    return places, grid, shifts


def _throw_blocks(
    shape: Sequence[int],
    seed_rate: float,
    block_size: int,
    padded: bool,
    device: torch.device,
    generator: torch.Generator | None,
) -> Tensor:
    maps, lengths = tuple(shape[:2]), tuple(shape[2:])
    if 0 in shape:
        return torch.ones(shape, dtype=torch.uint8, device=device)
    places, grid, shifts = _windows(lengths, block_size, padded)
    rate = _merged(seed_rate, block_size, lengths) if padded and block_size > min(lengths) else seed_rate
    kept = bernoulli((*maps, *places), rate, device=device, generator=generator)
    if not shifts:
        return kept
    if device.type == "cpu" and kept.numel() * math.prod(lengths) <= FEW_PAIRS and not transformed():
        cover, seeds = _cover(lengths, block_size, padded)
        return (kept.view(-1, cover.shape[0]).to(cover.dtype) @ cover == seeds).view(torch.uint8).view(shape)
    # A cell is kept if no seed fired at it or at the size - 1 places before it, along each axis: the AND of a window.
    # Windows grow in log2(size) steps, to 1, 2, 4, ... cells, and all maps are shifted as one array. A window may run
    # back into the row or the map before: there, either the last size - 1 places hold no seed, or (padded) the cell is
    # one of the first size - 1, which stand for places outside the map and are cut off.
    ahead = sum(shifts)
    spread = torch.ones(ahead + math.prod(maps) * math.prod(grid), dtype=torch.uint8, device=device)
    inside = spread[ahead:].view(*maps, *grid)
    for axis, places_along in enumerate(places, start=2):
        inside = inside.narrow(axis, 0, places_along)
    inside.copy_(kept)
    for shift in shifts:
        spread = spread[shift:].bitwise_and(spread[:-shift])
    kept = spread.view(*maps, *grid)
    for axis, length in enumerate(lengths, start=2):
        kept = kept.narrow(axis, grid[axis - 2] - length, length)
    return kept.contiguous()


def _merged(seed_rate: float, block_size: int, lengths: Sequence[int]) -> Tensor:
    # A block larger than the map covers all of an axis from each of several seeds: they act as one of a higher rate.
    seeds = torch.ones((), dtype=torch.float64, device="cpu")
    for length in lengths:
        along = torch.ones(length + min(block_size, length) - 1, dtype=torch.float64, device="cpu")
        if block_size > length:
            along[length - 1] = block_size - length + 1
        seeds = seeds.unsqueeze(-1) * along
    return -torch.expm1(seeds * torch.log1p(torch.tensor(-seed_rate, dtype=torch.float64, device="cpu")))


_library.define(
    "block(Tensor like, Tensor stamp, SymInt[] shape, float rate, Tensor? rates, SymInt block_size, bool padded)"
    " -> Tensor",
    tags=(torch.Tag.nondeterministic_seeded,),
)


def _draw_blocks(
    like: Tensor,
    stamp: Tensor,
    shape: Sequence[int],
    rate: float,
    rates: Tensor | None,
    block_size: int,
    padded: bool,
) -> Tensor:
    rate = check_p(rate if rates is None else float(rates), "seed_rate")
    return _throw_blocks(tuple(shape), rate, block_size, padded, like.device, None)


def _draw_blocks_vmap(info, in_dims, like: Tensor, stamp: Tensor, shape, rate, rates, block_size, padded):
    draw = torch.ops.companion.block
    if in_dims[4] is not None:
        each = [draw(like, stamp, shape, rate, one, block_size, padded) for one in rates.unbind(in_dims[4])]
        return torch.stack(each), 0
    if info.randomness == "same":
        return draw(like, stamp, shape, rate, rates, block_size, padded), None
    together = (info.batch_size * shape[0], *shape[1:])
    return draw(like, stamp, together, rate, rates, block_size, padded).view(info.batch_size, *shape), 0


_library.impl("block", _draw_blocks, "CompositeExplicitAutograd")
torch.library.register_fake(
    "companion::block",
    lambda like, stamp, shape, rate, rates, block_size, padded: like.new_empty(shape, dtype=torch.uint8),
    lib=_library,
)
torch.library.register_vmap("companion::block", _draw_blocks_vmap, lib=_library)
