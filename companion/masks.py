r"""Masks: the only place of the companion where randomness lives.

A mask is a ``uint8`` tensor of ones (kept) and zeros (dropped), drawn entry by entry and independently:
:math:`m \sim \mathrm{Bernoulli}(1-p)`, where :math:`p` is the probability of DROPPING. The kinds of mask differ only in
*what one coin decides about*: an element, a channel, a sample, all steps of a sequence, a weight, a block of cells.
Each function below names its kind and returns a mask that broadcasts against the tensor that it is for.

How a coin is thrown. A comparison of a uniform number with ``p`` is only as exact as the uniform number: on a grid of
256 values ``u > p`` keeps with probability 0.496 instead of 0.5, and a 16-bit uniform cannot hold 0.9 at all. So the
coin is thrown in two stages. One random byte B decides by itself unless it equals the integer part of 256 p:

* B > floor(256 p): kept; B < floor(256 p): dropped (255 of 256 cases);
* B = floor(256 p): a second, 53-bit uniform number decides with what is left of p, that is 256 p - floor(256 p).

Together P(dropped) = p to 61 bits, for one byte of randomness per coin. Bytes come from full-range 64-bit integers of
torch's Mersenne twister, so that a seed gives the same mask on every CPU and for any number of threads.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "bernoulli",
    "block_mask",
    "channel_mask",
    "check_p",
    "element_mask",
    "sample_mask",
    "step_mask",
    "weight_mask",
]


def _transformed() -> bool:
    """Whether plain Python does not see the numbers: inside torch.compile or a transform of torch.func."""
    return torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()


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
        if not _transformed() and not bool(((p >= 0) & (p <= 1)).all()):
            raise ValueError(f"{name} must be in [0, 1], got values from {p.min().item()} to {p.max().item()}")
        return p
    if isinstance(p, bool) or not isinstance(p, int | float):
        raise TypeError(f"{name} must be a float or a floating-point tensor, got {type(p).__name__}")
    if not 0 <= p <= 1:  # NaN fails this comparison too
        raise ValueError(f"{name} must be in [0, 1], got {p}")
    return float(p)


def _random_bytes(n: int, device: torch.device, generator: torch.Generator | None) -> Tensor:
    words = torch.empty((n + 7) // 8, dtype=torch.int64, device=device)
    # The range must be all 64 bits: with any other, the top byte of each word is not uniform.
    words.random_(-(2**63), None, generator=generator)
    return words.view(torch.uint8)[:n]


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
        Tensor[*shape] of ``torch.uint8``. Exactly :math:`p` to 61 bits; at ``p = 0`` all ones and at ``p = 1`` all
        zeros, without a draw.

    Raises:
        TypeError, ValueError: if ``p`` is not a probability; see :func:`check_p`.

    Cost: one random byte a coin, and one 53-bit uniform number for one coin in 256.
    """
    p = check_p(p)
    shape = torch.Size(shape)
    if device is None:
        device = generator.device if generator is not None else torch.device("cpu")
    device = torch.device(device)
    if isinstance(p, float) and p in (0.0, 1.0):
        return torch.full(shape, int(p == 0), dtype=torch.uint8, device=device)
    draws = _random_bytes(shape.numel(), device, generator).view(shape)
    if isinstance(p, float):
        whole = min(math.floor(256 * p), 255)
        rest = 256 * p - whole
        kept = draws > whole
        if rest == 0:  # p is a multiple of 1/256: the byte alone decides
            return (draws >= whole).view(torch.uint8)
    else:
        scaled = 256 * p.detach().to(device=device, dtype=torch.float64)
        whole_part = scaled.floor().clamp(max=255)
        rest = (scaled - whole_part).expand(shape)
        whole = whole_part.to(torch.uint8)
        kept = draws > whole
    kept = kept.view(torch.uint8)
    ties = (draws == whole).flatten().nonzero().squeeze(1)
    second = torch.rand(ties.shape, dtype=torch.float64, device=device, generator=generator)
    limit = rest if isinstance(rest, float) else rest.flatten()[ties]
    kept.view(-1)[ties] = (second >= limit).to(torch.uint8)
    return kept


# The same draw as an operator of torch, for where plain Python cannot run: the compiler must neither trace into the
# second stage, whose size depends on the first, nor repeat a draw; and vmap must draw anew for each example.
# The compiler also merges equal calls of operators that it does not know to be random; ``stamp``, an empty tensor made
# for each draw, tells them apart.
_library = torch.library.Library("companion", "DEF")
_library.define(
    "mask(Tensor like, Tensor stamp, SymInt[] shape, float p, Tensor? rates) -> Tensor",
    tags=(torch.Tag.nondeterministic_seeded,),
)


def _draw(like: Tensor, stamp: Tensor, shape: Sequence[int], p: float, rates: Tensor | None) -> Tensor:
    return bernoulli(shape, p if rates is None else rates, device=like.device)


def _draw_vmap(info, in_dims, like: Tensor, stamp: Tensor, shape: Sequence[int], p: float, rates: Tensor | None):
    if info.randomness == "error":
        raise RuntimeError('a mask is random: call vmap with randomness="different" or randomness="same"')
    if in_dims[4] is not None:
        rates = rates.movedim(in_dims[4], 0)
        rates = rates.reshape(rates.shape[0], *(1,) * (len(shape) + 1 - rates.ndim), *rates.shape[1:])
    if info.randomness == "same" and in_dims[4] is None:
        return torch.ops.companion.mask(like, stamp, shape, p, rates), None
    return torch.ops.companion.mask(like, stamp, (info.batch_size, *shape), p, rates), 0


_library.impl("mask", _draw, "CompositeExplicitAutograd")
torch.library.register_fake(
    "companion::mask",
    lambda like, stamp, shape, p, rates: like.new_empty(shape, dtype=torch.uint8),
    lib=_library,
)
torch.library.register_vmap("companion::mask", _draw_vmap, lib=_library)


def _like(x: Tensor, shape: Sequence[int], p: float | Tensor, generator: torch.Generator | None) -> Tensor:
    if generator is None and _transformed():
        rates = p.detach() if isinstance(p, Tensor) else None
        stamp = torch.empty(0, device=x.device)
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


def block_mask(
    x: Tensor,
    seed_rate: float,
    block_size: int,
    *,
    share_channels: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """One coin a block: each seed, thrown where a whole block fits, zeroes ``block_size`` cells along each axis.

    ``seed_rate`` is the rate of the seeds (gamma of Ghiasi et al. 2018, sec. 3), not of the dropped cells: blocks are
    large and overlap. A block larger than the map is cut to the map's size along that axis.

    Args:
        x: Tensor[N, C, *spatial] with one to three spatial axes.
        seed_rate: probability that a seed fires, in [0, 1].
        block_size: side of a block in cells, at least 1; even sizes are allowed.
        share_channels: one mask (N, 1, *spatial) for all channels of a sample.
        generator: source of randomness; default: torch's global one.

    Returns:
        Tensor[N, C or 1, *spatial] of ``torch.uint8``.
    """
    if not 3 <= x.ndim <= 5:
        raise ValueError(f"x must have the shape (N, C, *spatial) with 3 to 5 dimensions, got {tuple(x.shape)}")
    if isinstance(block_size, bool) or not isinstance(block_size, int):
        raise TypeError(f"block_size must be an int, got {type(block_size).__name__}")
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    check_p(seed_rate, "seed_rate")
    channels = 1 if share_channels else x.shape[1]
    block = [min(block_size, length) for length in x.shape[2:]]
    seeds_at = [length - size + 1 for length, size in zip(x.shape[2:], block, strict=True)]
    dropped = 1 - _like(x, (x.shape[0], channels, *seeds_at), seed_rate, generator)
    for axis, (length, size) in enumerate(zip(x.shape[2:], block, strict=True), start=2):
        grown = list(dropped.shape)
        grown[axis] = length
        wide = dropped.new_zeros(grown)
        for offset in range(size):  # a seed at i marks the cells i, ..., i + size - 1
            wide.narrow(axis, offset, dropped.shape[axis]).bitwise_or_(dropped)
        dropped = wide
    return 1 - dropped
