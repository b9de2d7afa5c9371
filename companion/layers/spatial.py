r"""Spatial dropout: dropout of whole channels, for maps whose neighbouring cells say nearly the same.

With one coin for each channel c of each sample n,

.. math:: y_{nc\,\cdot} = \frac{m_{nc}}{1-p}\,x_{nc\,\cdot}, \qquad m_{nc} \sim \mathrm{Bernoulli}(1-p)

A single dropped cell of a smooth map can be filled in from its neighbours; a dropped channel cannot.
"""

import torch
from torch import Tensor

from companion.layers.base import DropoutModule, apply_mask, check_input, inverse, never_drops
from companion.masks import channel_mask, check_p

__all__ = ["SpatialDropout1d", "SpatialDropout2d", "SpatialDropout3d", "spatial_dropout"]


def spatial_dropout(
    x: Tensor, p: float | Tensor = 0.5, training: bool = True, *, generator: torch.Generator | None = None
) -> Tensor:
    r"""Zeroes whole channels, each channel of each sample on its own, and divides the others by :math:`1-p`.

    .. math:: y = \frac{m\,x}{1-p}, \qquad m \sim \mathrm{Bernoulli}(1-p) \text{ of the shape } (N, C, 1, \dots, 1)

    so that :math:`\mathbb{E}[y] = x`, and all cells of a channel share their fate.

    Args:
        x: Tensor[N, C, *spatial] with one spatial axis or more. Sequences (N, length, channels) must be transposed.
        p: probability of DROPPING a channel, in [0, 1]; a number, or a tensor without dimensions.
        training: whether to drop; with ``False`` the input object itself comes back, as it does at ``p = 0``.
            At ``p = 1`` the output is zero with a zero gradient.
        generator: source of randomness; default: torch's global one.

    Raises:
        TypeError: if ``x`` is not a floating-point tensor, or ``p`` not a number or floating-point tensor.
        ValueError: if ``p`` lies outside [0, 1] or is NaN, or ``x`` has fewer than three dimensions.

    Cost: one coin, and one byte kept for the backward pass, a channel; two light passes over ``x``, or one and the
    writing of zeros where the map is large and few channels fall.

    Reference: Tompson et al. (2015), sec. 3.2.
    """
    check_input(x)
    p = check_p(p)
    if x.ndim < 3:
        raise ValueError(f"x must have the shape (N, C, *spatial) with 3 or more dimensions, got {tuple(x.shape)}")
    if not training or never_drops(p):
        return x
    return apply_mask(x, channel_mask(x, p, generator=generator), inverse(p))


class _SpatialDropout(DropoutModule):
    """The axes are counted, because the mask of another number of axes would be another layer's without a word."""

    shape: tuple[str, ...]

    def forward(self, x: Tensor) -> Tensor:
        check_input(x)
        if x.ndim != len(self.shape):
            raise ValueError(f"x must have the shape ({', '.join(self.shape)}), got {tuple(x.shape)}")
        return spatial_dropout(x, self.rate(), self.training)


class SpatialDropout1d(_SpatialDropout):
    """Module form of :func:`spatial_dropout` for sequences: a drop-in for ``torch.nn.Dropout1d`` on batches.

    Args:
        p: probability of DROPPING a channel, in [0, 1], or a :class:`companion.schedules.Ramp`.

    Shape: (N, C, L), exactly three dimensions. ``torch.nn.Dropout1d`` takes (N, F) too, and drops whole samples.
    """

    shape = ("N", "C", "L")


class SpatialDropout2d(_SpatialDropout):
    """Module form of :func:`spatial_dropout` for maps: a drop-in for ``torch.nn.Dropout2d`` on batches.

    Args:
        p: probability of DROPPING a channel, in [0, 1], or a :class:`companion.schedules.Ramp`.

    Shape: (N, C, H, W), exactly four dimensions. ``torch.nn.Dropout2d`` takes (C, H, W) too, and drops rows of maps.
    """

    shape = ("N", "C", "H", "W")


class SpatialDropout3d(_SpatialDropout):
    """Module form of :func:`spatial_dropout` for volumes: a drop-in for ``torch.nn.Dropout3d`` on batches.

    Args:
        p: probability of DROPPING a channel, in [0, 1], or a :class:`companion.schedules.Ramp`.

    Shape: (N, C, D, H, W), exactly five dimensions.
    """

    shape = ("N", "C", "D", "H", "W")
