r"""Gaussian dropout and alpha dropout: noise that keeps moments which dropout does not keep.

With a mask :math:`m \sim \mathrm{Bernoulli}(1-p)` and a normal number :math:`\varepsilon \sim N(0, 1)` an element:

================= ========================================================== ==================================
layer             training                                                   keeps of an element
================= ========================================================== ==================================
dropout           :math:`m x / (1-p)`                                        its mean
Gaussian dropout  :math:`x\,(1 + \sqrt{p/(1-p)}\;\varepsilon)`               its mean; the variance of dropout
alpha dropout     :math:`a\,(m x + (1-m)\,(-A)) + b`                         mean and variance of standard input
================= ========================================================== ==================================

Gaussian dropout multiplies by a number with the mean and the variance of the mask :math:`m/(1-p)`, and drops nothing.
Alpha dropout is for networks of SELU units, which hold their activations at mean 0 and variance 1: it sets what it
drops to :math:`-A = \lim_{x \to -\infty} \mathrm{SELU}(x)`, the value of a unit that is off, and a and b restore the
moments. All three return their input at evaluation.
"""

import math

import torch
from torch import Tensor

from companion.layers.base import DropoutModule, apply_mask, check_input, drop_few, inverse, never_drops, rescale
from companion.masks import check_p, constant, element_mask, normal_like

__all__ = ["AlphaDropout", "GaussianDropout", "alpha_dropout", "gaussian_dropout"]

# SELU(x) = scale * x for x > 0 and scale * alpha * (exp(x) - 1) elsewhere; A = scale * alpha with the constants of
# Klambauer et al. (2017): 1.0507009873554805 * 1.6732632423543772.
A = 1.7580993408473766


def gaussian_dropout(
    x: Tensor, p: float | Tensor = 0.5, training: bool = True, *, generator: torch.Generator | None = None
) -> Tensor:
    r"""Multiplies each element by a normal number with the mean and the variance of the mask of dropout.

    .. math:: y = x + x\,\sigma\,\varepsilon, \qquad \varepsilon \sim N(0, 1), \qquad \sigma^2 = \frac{p}{1-p}

    so that :math:`\mathbb{E}[y] = x` and :math:`\mathbb{E}[y^2] = x^2/(1-p)`, as for dropout at the same ``p``. The
    factor is negative with the probability :math:`\Phi(-1/\sigma)`: 16 % at ``p = 0.5``, 0.1 % at ``p = 0.1``.

    Args:
        x: Tensor of any shape.
        p: the probability of DROPPING of the dropout whose moments are taken, in [0, 1]; a number, or a tensor that
            broadcasts against ``x`` (one rate a model).
        training: whether to add noise; with ``False`` the input object itself comes back, as it does at ``p = 0``.
            At ``p = 1``, where the variance has no bound, the output is zero with a zero gradient, as for dropout.
        generator: source of randomness; default: torch's global one.

    Raises:
        TypeError: if ``x`` is not a floating-point tensor, or ``p`` not a number or floating-point tensor.
        ValueError: if ``p`` lies outside [0, 1] or is NaN.

    Cost: one normal number an element, which is three quarters of the time. The backward pass keeps these numbers in
    the dtype of ``x``: 4 bytes an element in float32, where dropout keeps one.

    Reference: Srivastava et al. (2014), sec. 10; Wang & Manning (2013).
    """
    check_input(x)
    p = check_p(p)
    if not training or never_drops(p):
        return x
    if not isinstance(p, Tensor):
        if p == 1:
            return apply_mask(x, element_mask(x, p), 0.0)
        return torch.addcmul(x, x, normal_like(x, generator=generator), value=math.sqrt(p / (1 - p)))
    deviation = (p.detach().double() * inverse(p)).sqrt()
    y = torch.addcmul(x, x, rescale(normal_like(x, generator=generator), deviation))
    return apply_mask(y, (p < 1).to(device=x.device, dtype=torch.uint8))


def alpha_dropout(
    x: Tensor, p: float | Tensor = 0.5, training: bool = True, *, generator: torch.Generator | None = None
) -> Tensor:
    r"""Sets elements to the value of a SELU unit that is off, then restores mean 0 and variance 1.

    .. math:: y = a\,(m x + (1-m)\,(-A)) + b, \qquad a = \frac{1}{\sqrt{(1-p)(1 + p A^2)}}, \qquad b = a\,p\,A

    with :math:`m \sim \mathrm{Bernoulli}(1-p)` and A = 1.758. For an input of mean 0 and variance 1 the bracket has the
    mean :math:`-pA` and the variance :math:`(1-p)(1 + pA^2)`, so the output has mean 0 and variance 1 again. Other
    moments are moved: this layer is for standardised inputs, those of SELU networks.

    Args:
        x: Tensor of any shape.
        p: probability of DROPPING, in [0, 1]; a number, or a tensor that broadcasts against ``x`` (one rate a model).
        training: whether to drop; with ``False`` the input object itself comes back, as it does at ``p = 0``. The
            default is ``True``, as for every function here; that of ``torch.nn.functional.alpha_dropout`` is ``False``.
            At ``p = 1``, where a has no bound, the output is zero with a zero gradient.
        generator: source of randomness; default: torch's global one.

    Returns:
        Tensor of the shape and dtype of ``x``; 16-bit formats are computed in float32 and rounded once. A dropped place
        holds :math:`b - aA`, whatever stood there, and its gradient is zero.

    Raises:
        TypeError: if ``x`` is not a real floating-point tensor, or ``p`` not a number or floating-point tensor.
        ValueError: if ``p`` lies outside [0, 1] or is NaN.

    Cost: one random byte and one byte kept for the backward pass an element; four light passes.

    Reference: Klambauer et al. (2017), "Self-Normalizing Neural Networks", paragraph "New Dropout Technique".
    """
    check_input(x)
    if x.is_complex():
        raise TypeError(f"x must be a real floating-point tensor, got {x.dtype}")
    p = check_p(p)
    if not training or never_drops(p):
        return x
    a = _slope(p)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    # As m (a x + a A) - a A (1 - p), so that a mask is applied to what it drops to zero.
    if isinstance(p, Tensor):
        a, dropped = (value.to(wide) for value in (a, a * (p.detach().double() - 1) * A))
        return (apply_mask(wide * a + a * A, element_mask(x, p, generator=generator)) + dropped).to(x.dtype)
    dropped = -a * A * (1 - p)
    drop = drop_few(x, p, generator) if p < 1 else None
    if drop is not None:  # a small tensor takes the values as they are
        y = torch.add(constant(a * p * A, wide.dtype), wide, alpha=a).masked_fill_(drop, constant(dropped, wide.dtype))
        return y.to(x.dtype)
    lifted = torch.add(wide.new_full((), a * A), wide, alpha=a)
    return apply_mask(lifted, element_mask(x, p, generator=generator)).add_(dropped).to(x.dtype)


def _slope(p: float | Tensor) -> float | Tensor:
    """The factor a; 0 where p = 1, so that nothing becomes infinite."""
    if not isinstance(p, Tensor):
        return ((1 - p) * (1 + p * A**2)) ** -0.5 if p < 1 else 0.0
    return (inverse(p) / (1 + p.detach().double() * A**2)).sqrt()


class GaussianDropout(DropoutModule):
    """Module form of :func:`gaussian_dropout`.

    Args:
        p: the probability of DROPPING of the dropout whose moments are taken, in [0, 1], or a
            :class:`companion.schedules.Ramp`.

    Shape: any; the output has the input's shape, dtype and device.
    """

    def forward(self, x: Tensor) -> Tensor:
        return gaussian_dropout(x, self.rate(), self.training)


class AlphaDropout(DropoutModule):
    """Module form of :func:`alpha_dropout`: a drop-in for ``torch.nn.AlphaDropout``.

    There is no ``inplace``: torch accepts the argument and ignores it.

    Args:
        p: probability of DROPPING, in [0, 1], or a :class:`companion.schedules.Ramp`.

    Shape: any; the output has the input's shape, dtype and device.
    """

    def forward(self, x: Tensor) -> Tensor:
        return alpha_dropout(x, self.rate(), self.training)
