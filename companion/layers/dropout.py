r"""Dropout in its three schemes: naive, vanilla (scaled at test) and inverted (scaled in training).

With a mask :math:`m \sim \mathrm{Bernoulli}(1-p)` drawn for every element, the schemes differ in where the
scale stands:

========= ========================= ==================
scheme    training                  evaluation
========= ========================= ==================
naive     :math:`m x`               :math:`x`
vanilla   :math:`m x`               :math:`(1-p)\,x`
inverted  :math:`m x / (1-p)`       :math:`x`
========= ========================= ==================

Naive is wrong by design: its expected output changes from :math:`(1-p)x` to :math:`x` at evaluation. It is here to be
measured. ``dropout`` without an adjective is the inverted scheme, as in torch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.layers.base import DropoutModule, apply_mask, check_input, drop_few, inverse, never_drops, rescale
from companion.masks import check_p, constant, element_mask

__all__ = ["Dropout", "NaiveDropout", "VanillaDropout", "dropout", "naive_dropout", "vanilla_dropout"]


def naive_dropout(
    x: Tensor, p: float | Tensor = 0.5, training: bool = True, *, generator: torch.Generator | None = None
) -> Tensor:
    r"""Zeroes elements and scales nothing, neither in training nor at evaluation.

    .. math:: y = m\,x \text{ in training}, \qquad y = x \text{ at evaluation}, \qquad m \sim \mathrm{Bernoulli}(1-p)

    The mean of a training output is :math:`(1-p)x`, that of an evaluation output :math:`x`: layers behind it meet
    inputs :math:`1/(1-p)` times as large as those they were trained on.

    Args:
        x: Tensor of any shape.
        p: probability of DROPPING, in [0, 1]; a number, or a tensor that broadcasts against ``x``.
        training: whether to drop; with ``False`` the input object itself comes back, as it does at ``p = 0``.
            At ``p = 1`` the output is zero with a zero gradient.
        generator: source of randomness; default: torch's global one.

    Raises:
        TypeError: if ``x`` is not a floating-point tensor, or ``p`` not a number or floating-point tensor.
        ValueError: if ``p`` lies outside [0, 1] or is NaN.

    Cost: one random byte and one byte kept for the backward pass an element.

    Reference: the mask of Srivastava et al. (2014), sec. 4, without the scaling of its test time.
    """
    check_input(x)
    p = check_p(p)
    if not training or never_drops(p):
        return x
    return apply_mask(x, element_mask(x, p, generator=generator))


def vanilla_dropout(
    x: Tensor, p: float | Tensor = 0.5, training: bool = True, *, generator: torch.Generator | None = None
) -> Tensor:
    r"""The scheme of 2012: zeroes elements in training, multiplies by :math:`1-p` at evaluation.

    .. math:: y = m\,x \text{ in training}, \qquad y = (1-p)\,x \text{ at evaluation}

    The papers scale the outgoing weights; scaling the activations is the same.

    Args:
        x: Tensor of any shape.
        p: probability of DROPPING, in [0, 1]; a number, or a tensor that broadcasts against ``x``.
        training: whether to drop. At ``p = 0`` the input object itself comes back in both modes; at ``p = 1`` the
            output is zero in both.
        generator: source of randomness; default: torch's global one.

    Raises:
        TypeError: if ``x`` is not a floating-point tensor, or ``p`` not a number or floating-point tensor.
        ValueError: if ``p`` lies outside [0, 1] or is NaN.

    Cost: one random byte and one byte kept for the backward pass an element; one multiplication at evaluation.

    Reference: Hinton et al. (2012); Srivastava et al. (2014), sec. 4 (there p is the probability of KEEPING).
    """
    check_input(x)
    p = check_p(p)
    if never_drops(p):
        return x
    if training:
        return apply_mask(x, element_mask(x, p, generator=generator))
    return rescale(x, 1 - p)


def dropout(
    x: Tensor, p: float | Tensor = 0.5, training: bool = True, *, generator: torch.Generator | None = None
) -> Tensor:
    r"""Inverted dropout: zeroes elements in training and divides the survivors by :math:`1-p`.

    .. math:: y = \frac{m\,x}{1-p} \text{ in training}, \qquad y = x \text{ at evaluation}

    so that :math:`\mathbb{E}[y] = x` in both modes. The second moment is not kept:
    :math:`\mathbb{E}[y^2] = x^2/(1-p)`.

    Args:
        x: Tensor of any shape.
        p: probability of DROPPING, in [0, 1]; a number, or a tensor that broadcasts against ``x`` (one rate a model).
        training: whether to drop; with ``False`` the input object itself comes back, as it does at ``p = 0``.
            At ``p = 1`` the output is zero with a zero gradient, never NaN.
        generator: source of randomness; default: torch's global one.

    Raises:
        TypeError: if ``x`` is not a floating-point tensor, or ``p`` not a number or floating-point tensor.
        ValueError: if ``p`` lies outside [0, 1] or is NaN.

    Cost: one random byte and one byte kept for the backward pass an element. On a GPU, without ``generator``, this is
    torch's fused kernel, which multiplies by the mask: there an infinity that is dropped gives NaN.

    Reference: Srivastava et al. (2014), sec. 10, as every current framework has it.
    """
    if training and p.__class__ is float and 0 < p < 1 and isinstance(x, Tensor):
        drop = drop_few(x, p, generator)
        if drop is not None:
            return (x * constant(1 / (1 - p), x.dtype)).masked_fill_(drop, constant(0.0, x.dtype))
    check_input(x)
    p = check_p(p)
    if not training or never_drops(p):
        return x
    if x.is_cuda and generator is None and p.__class__ is float:
        return F.dropout(x, p)  # one fused kernel, which draws, scales and writes a mask of one byte an element
    return apply_mask(x, element_mask(x, p, generator=generator), inverse(p))


class NaiveDropout(DropoutModule):
    """Module form of :func:`naive_dropout`.

    Args:
        p: probability of DROPPING, in [0, 1], or a :class:`companion.schedules.Ramp`.

    Shape: any; the output has the input's shape, dtype and device.
    """

    def forward(self, x: Tensor) -> Tensor:
        return naive_dropout(x, self.rate(), self.training)


class VanillaDropout(DropoutModule):
    """Module form of :func:`vanilla_dropout`.

    Args:
        p: probability of DROPPING, in [0, 1], or a :class:`companion.schedules.Ramp`.

    Shape: any; the output has the input's shape, dtype and device.
    """

    def forward(self, x: Tensor) -> Tensor:
        return vanilla_dropout(x, self.rate(), self.training)


class Dropout(DropoutModule):
    """Module form of :func:`dropout`: a drop-in for ``torch.nn.Dropout``.

    Args:
        p: probability of DROPPING, in [0, 1], or a :class:`companion.schedules.Ramp`.

    Shape: any; the output has the input's shape, dtype and device.
    """

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.rate(), self.training)
