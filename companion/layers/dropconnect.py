r"""DropConnect: dropout of weights instead of units.

.. math:: y = \frac{(m \odot W)\,x}{1-p} + b, \qquad m_{oi} \sim \mathrm{Bernoulli}(1-p)

Each output unit has the same distribution as under dropout of the inputs at the same ``p``; what differs is that two
units of a layer no longer share coins, so their noise is uncorrelated. The bias is never dropped. (Wan et al. 2013 mask
the biases too; here the bias is what is left at ``p = 1``, and the plain layer's bias is its mean without a scale.)

At evaluation there are two ways. The *mean* puts the mean in the place of the weights, which in the inverted scheme is
the plain layer: exact for y, not for an activation of y, whose mean is not the activation of the mean. The *Gaussian*
way takes y, a sum of many independent terms, as normal with its exact moments, and averages the activation over draws.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.layers.base import DropoutModule, apply_mask, check_input, inverse, never_drops, rescale
from companion.masks import check_p, normal_like, weight_mask
from companion.schedules import Ramp

__all__ = [
    "DropConnectConv2d",
    "DropConnectLinear",
    "drop_connect_conv2d",
    "drop_connect_linear",
    "expected_relu",
    "gaussian_mean",
    "gaussian_moments",
    "gaussian_moments_conv2d",
]


def drop_connect_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    p: float | Tensor = 0.5,
    training: bool = True,
    per_example: bool = False,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Linear layer whose weights are dropped, one by one, with probability ``p``.

    .. math:: y_{no} = \sum_i \frac{m_{oi}\,W_{oi}}{1-p}\,x_{ni} + b_o, \qquad m_{oi} \sim \mathrm{Bernoulli}(1-p)

    Args:
        x: Tensor[*, I], any number of leading dimensions.
        weight: Tensor[O, I].
        bias: Tensor[O] or None; it is not dropped.
        p: probability of DROPPING a weight, in [0, 1]; a number, or a tensor without dimensions.
        training: whether to drop; with ``False``, and at ``p = 0``, this is ``torch.nn.functional.linear``. At
            ``p = 1`` the output is the bias, with zero gradients for ``x`` and ``weight``.
        per_example: a mask for each example, that is for each index n of the first dimension of ``x``, which must
            then have two or more, instead of one for the whole batch.
        generator: source of randomness; default: torch's global one.

    Returns:
        Tensor[*, O]. A dropped weight is zero even if it was infinite; an infinite ``x`` gives NaN, as in any product
        of matrices with a zero in it.

    Raises:
        TypeError: if ``x`` or ``weight`` is not a floating-point tensor, or ``p`` not a number or such a tensor.
        ValueError: if ``p`` lies outside [0, 1] or is NaN, or the shapes do not fit.

    Cost: one random byte a weight and its mask, and for the backward pass the mask and the masked weights (5 bytes a
    weight in float32). With ``per_example`` all of this for each example: N x O x I, sizes for teaching.

    Reference: Wan et al. (2013), sec. 3, where each example has its own mask and biases are dropped as well.
    """
    check_input(x)
    check_input(weight, "weight")
    p = check_p(p)
    if weight.ndim != 2:
        raise ValueError(f"weight must have the shape (O, I), got {tuple(weight.shape)}")
    if x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"x must have the shape (*, {weight.shape[1]}), got {tuple(x.shape)}")
    if per_example and x.ndim < 2:
        raise ValueError(f"x must have the shape (N, *, {weight.shape[1]}) with per_example, got {tuple(x.shape)}")
    if not training or never_drops(p):
        return F.linear(x, weight, bias)
    masked = _masked(weight, p, x.shape[0] if per_example else None, generator)
    if masked.ndim == 2:
        return F.linear(x, masked, bias)
    y = torch.bmm(x.flatten(1, -2) if x.ndim > 2 else x.unsqueeze(1), masked.mT).view(*x.shape[:-1], len(weight))
    return y if bias is None else y + bias.to(y.dtype)


def drop_connect_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    p: float | Tensor = 0.5,
    training: bool = True,
    per_example: bool = False,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""2d convolution whose kernel weights are dropped, one by one, with probability ``p``.

    .. math:: y = \frac{m \odot W}{1-p} * x + b, \qquad m \sim \mathrm{Bernoulli}(1-p) \text{ of the shape of } W

    A coin decides about a weight, and so about that weight at all places of the map.

    Args:
        x: Tensor[N, C, H, W], or Tensor[C, H, W] without ``per_example``.
        weight: Tensor[O, C / groups, kH, kW].
        bias: Tensor[O] or None; it is not dropped.
        p: probability of DROPPING a weight, in [0, 1]; a number, or a tensor without dimensions.
        training: whether to drop; with ``False``, and at ``p = 0``, this is ``torch.nn.functional.conv2d``. At
            ``p = 1`` the output is the bias, with zero gradients for ``x`` and ``weight``.
        per_example: a mask for each example instead of one for the whole batch.
        stride, padding, dilation, groups: as in ``torch.nn.functional.conv2d``.
        generator: source of randomness; default: torch's global one.

    Raises:
        TypeError: if ``x`` or ``weight`` is not a floating-point tensor, or ``p`` not a number or such a tensor.
        ValueError: if ``p`` lies outside [0, 1] or is NaN, or the numbers of dimensions do not fit.

    Cost: one random byte a weight and its mask, and for the backward pass the mask and the masked weights; with
    ``per_example`` all of this for each example, and a convolution in N x groups groups.

    Reference: Wan et al. (2013), sec. 3, for linear layers; the weights of a kernel are treated alike.
    """
    check_input(x)
    check_input(weight, "weight")
    p = check_p(p)
    if weight.ndim != 4:
        raise ValueError(f"weight must have the shape (O, C / groups, kH, kW), got {tuple(weight.shape)}")
    if x.ndim != 4 and (per_example or x.ndim != 3):
        shapes = "(N, C, H, W) with per_example" if per_example else "(N, C, H, W) or (C, H, W)"
        raise ValueError(f"x must have the shape {shapes}, got {tuple(x.shape)}")
    if not training or never_drops(p):
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    masked = _masked(weight, p, x.shape[0] if per_example else None, generator)
    if masked.ndim == 4:
        return F.conv2d(x, masked, bias, stride, padding, dilation, groups)
    # The examples become groups of one convolution, each with kernels of its own.
    n = x.shape[0]
    y = F.conv2d(x.flatten(0, 1)[None], masked.flatten(0, 1), None, stride, padding, dilation, n * groups)
    y = y.view(n, len(weight), *y.shape[2:])
    return y if bias is None else y + bias.to(y.dtype)[:, None, None]


def _masked(weight: Tensor, p: float | Tensor, examples: int | None, generator: torch.Generator | None) -> Tensor:
    """The weights of a training pass: (*weight.shape), or (examples, *weight.shape) with a mask for each example."""
    examples = examples or None  # an empty batch needs no masks of its own
    mask = weight_mask(weight, p, examples=examples, generator=generator)
    return apply_mask(weight.expand(mask.shape), mask, inverse(p))


def gaussian_moments(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, p: float | Tensor = 0.5
) -> tuple[Tensor, Tensor]:
    r"""Exact mean and variance of each output of :func:`drop_connect_linear` over the masks.

    .. math:: \mu = W x + b, \qquad \sigma^2 = \frac{p}{1-p}\,(W \odot W)\,(x \odot x)

    An output is a sum of independent terms :math:`m_i w_i x_i / (1-p)`, each with the variance
    :math:`p(1-p)\,(w_i x_i)^2 / (1-p)^2`. In the scheme of the paper, without the scale, these are
    :math:`(1-p) W x` and :math:`p(1-p)\,(W \odot W)(x \odot x)`.

    Args:
        x: Tensor[*, I].
        weight: Tensor[O, I].
        bias: Tensor[O] or None.
        p: probability of DROPPING a weight, in [0, 1]. At ``p = 0`` the variance is zero. At ``p = 1`` it has no
            bound and zero is given instead: inference is then that of the plain layer.

    Returns:
        The mean and the variance, each Tensor[*, O]; the variance of 16-bit inputs is in float32.

    Raises:
        TypeError, ValueError: if ``p`` is not a probability, or ``x`` or ``weight`` not a floating-point tensor.

    Cost: two products of matrices, no random numbers.

    Reference: Wan et al. (2013), sec. 3.2; Wang & Manning (2013) for dropout of inputs.
    """
    check_input(x)
    check_input(weight, "weight")
    return F.linear(x, weight, bias), _variance(F.linear, x, weight, check_p(p))


def gaussian_moments_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    p: float | Tensor = 0.5,
    *,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> tuple[Tensor, Tensor]:
    r"""Exact mean and variance of each output of :func:`drop_connect_conv2d` over the masks.

    .. math:: \mu = W * x + b, \qquad \sigma^2 = \frac{p}{1-p}\,(W \odot W) * (x \odot x)

    The places of a map share their masks, so they are correlated; the moments are those of each place.

    Args:
        x: Tensor[N, C, H, W] or Tensor[C, H, W].
        weight: Tensor[O, C / groups, kH, kW].
        bias: Tensor[O] or None.
        p: probability of DROPPING a weight, in [0, 1]; see :func:`gaussian_moments` for 0 and 1.
        stride, padding, dilation, groups: as in ``torch.nn.functional.conv2d``.

    Returns:
        The mean and the variance, each of the shape of the convolution's output.

    Raises:
        TypeError, ValueError: if ``p`` is not a probability, or ``x`` or ``weight`` not a floating-point tensor.

    Cost: two convolutions, no random numbers.

    Reference: Wan et al. (2013), sec. 3.2.
    """
    check_input(x)
    check_input(weight, "weight")
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    mean = F.conv2d(x, weight, bias, **options)
    return mean, _variance(lambda x, w: F.conv2d(x, w, **options), x, weight, check_p(p))


def _variance(product: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor, p: float | Tensor) -> Tensor:
    # Squares leave the range of float16 early, so they are taken in float32, under autocast too.
    wide = torch.promote_types(x.dtype, torch.float32)
    with torch.autocast(x.device.type, enabled=False):
        return rescale(product(x.to(wide).square(), weight.to(wide).square()), p * inverse(p))


def gaussian_mean(
    mean: Tensor,
    variance: Tensor,
    activation: Callable[[Tensor], Tensor] | None = None,
    samples: int = 100,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Average of an activation over normal numbers of the given moments: the inference of Wan et al.

    .. math:: y = \frac{1}{S} \sum_{s=1}^{S} a(\mu + \sigma\,\varepsilon_s), \qquad \varepsilon_s \sim N(0, 1)

    Args:
        mean: Tensor of any shape.
        variance: Tensor of the same shape, not negative.
        activation: the function a; it may mix the elements of a tensor, as softmax does. Default: the identity.
        samples: number S of draws, at least 1. The error falls as :math:`1/\sqrt{S}`.
        generator: source of randomness; default: torch's global one.

    Returns:
        Tensor of the shape of ``activation(mean)``. For ReLU, :func:`expected_relu` gives its limit without draws.

    Raises:
        TypeError, ValueError: if ``samples`` is not an integer of at least 1.

    Cost: ``samples`` normal numbers an element; the draws are summed as they come, so memory does not grow with them.

    Reference: Wan et al. (2013), sec. 3.2, algorithm 2.
    """
    _check_samples(samples)
    deviation = _deviation(variance).to(mean.dtype)
    total = 0.0
    for _ in range(samples):
        u = torch.addcmul(mean, deviation, normal_like(mean, generator=generator))
        y = u if activation is None else activation(u)
        total = total + y.to(torch.promote_types(y.dtype, torch.float32))
    return (total / samples).to(y.dtype)


def expected_relu(mean: Tensor, variance: Tensor) -> Tensor:
    r"""Mean of ReLU(u) for a normal u: what :func:`gaussian_mean` tends to with many samples.

    .. math:: \mathbb{E}[\max(u, 0)] = \mu\,\Phi(\mu/\sigma) + \sigma\,\varphi(\mu/\sigma)

    Args:
        mean: Tensor of any shape.
        variance: Tensor of the same shape, not negative; where it is zero the result is ReLU(mean).

    Cost: a few passes, no random numbers.

    Reference: Wang & Manning (2013) use moments of this kind for dropout.
    """
    deviation = _deviation(variance)
    z = mean.to(deviation.dtype) / deviation
    return (mean * torch.special.ndtr(z) + deviation * torch.exp(-z.square() / 2) / (2 * math.pi) ** 0.5).to(mean.dtype)


def _deviation(variance: Tensor) -> Tensor:
    # Without the bound the gradient at a variance of zero, that of an input of zeros, would be 0 times infinity.
    return variance.clamp(min=torch.finfo(variance.dtype).tiny).sqrt()


def _check_samples(samples: int) -> None:
    if isinstance(samples, bool) or not isinstance(samples, int):
        raise TypeError(f"samples must be an int, got {type(samples).__name__}")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")


class _DropConnect(DropoutModule):
    """What the two modules share: the arguments of the dropping, and the two ways of inference."""

    def _set(self, p, per_example, inference, samples, activation) -> None:
        if inference not in ("mean", "gaussian"):
            raise ValueError(f'inference must be "mean" or "gaussian", got {inference!r}')
        _check_samples(samples)
        self.p = p if isinstance(p, Ramp) else check_p(p)
        self.per_example, self.inference, self.samples, self.activation = per_example, inference, samples, activation

    def _adopt(self, layer: nn.Module):
        """Takes the parameters themselves, not copies: an optimizer that holds them goes on holding them."""
        self.weight, self.bias = layer.weight, layer.bias
        return self.train(layer.training)

    def _run(self, x: Tensor, function: Callable, moments: Callable, **options) -> Tensor:
        p = self.rate()
        if self.training or self.inference == "mean" or never_drops(p):
            y = function(x, self.weight, self.bias, p, self.training, self.per_example, **options)
            return y if self.activation is None else self.activation(y)
        return gaussian_mean(*moments(x, self.weight, self.bias, p, **options), self.activation, self.samples)

    def extra_repr(self) -> str:
        ways = f"per_example={self.per_example}, inference={self.inference!r}"
        if self.inference == "gaussian":
            ways += f", samples={self.samples}"
        return ", ".join(filter(None, (super(DropoutModule, self).extra_repr(), DropoutModule.extra_repr(self), ways)))


class DropConnectLinear(_DropConnect, nn.Linear):
    """Module form of :func:`drop_connect_linear`: a drop-in for ``torch.nn.Linear``, whose parameters it has.

    Args:
        in_features, out_features, bias, device, dtype: as for ``torch.nn.Linear``.
        p: probability of DROPPING a weight, in [0, 1], or a :class:`companion.schedules.Ramp`.
        per_example: a mask for each example instead of one for the whole batch.
        inference: what evaluation does. ``"mean"``: the plain layer. ``"gaussian"``: the average of the activation over
            normal draws of its input (:func:`gaussian_moments`, :func:`gaussian_mean`), so evaluation is random.
        samples: number of these draws.
        activation: applied to the output, in training too; it must be in here for the Gaussian way to average it.
            Default: none, and then the Gaussian way gives the mean with an error that falls with ``samples``.

    Shape: (*, in_features) to (*, out_features).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        p: float | Ramp = 0.5,
        per_example: bool = False,
        inference: Literal["mean", "gaussian"] = "mean",
        samples: int = 100,
        activation: Callable[[Tensor], Tensor] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        nn.Linear.__init__(self, in_features, out_features, bias, device, dtype)
        self._set(p, per_example, inference, samples, activation)

    @classmethod
    def from_linear(cls, linear: nn.Linear, p: float | Ramp = 0.5, **options) -> "DropConnectLinear":
        """A layer that shares the parameters of ``linear``; ``options`` are the class's, from ``per_example`` on."""
        here = {"device": "meta", "dtype": linear.weight.dtype}  # no second set of weights is made
        made = cls(linear.in_features, linear.out_features, linear.bias is not None, p, **options, **here)
        return made._adopt(linear)

    def forward(self, x: Tensor) -> Tensor:
        return self._run(x, drop_connect_linear, gaussian_moments)


class DropConnectConv2d(_DropConnect, nn.Conv2d):
    """Module form of :func:`drop_connect_conv2d`: a drop-in for ``torch.nn.Conv2d``, whose parameters it has.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype:
            as for ``torch.nn.Conv2d``.
        p, per_example, inference, samples, activation: as for :class:`DropConnectLinear`.

    Shape: (N, C, H, W) or, without ``per_example``, (C, H, W); as for ``torch.nn.Conv2d``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        p: float | Ramp = 0.5,
        per_example: bool = False,
        inference: Literal["mean", "gaussian"] = "mean",
        samples: int = 100,
        activation: Callable[[Tensor], Tensor] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        where = (stride, padding, dilation, groups, bias, padding_mode, device, dtype)
        nn.Conv2d.__init__(self, in_channels, out_channels, kernel_size, *where)
        self._set(p, per_example, inference, samples, activation)

    @classmethod
    def from_conv(cls, conv: nn.Conv2d, p: float | Ramp = 0.5, **options) -> "DropConnectConv2d":
        """A layer that shares the parameters of ``conv``; ``options`` are the class's, from ``per_example`` on."""
        names = (
            "in_channels",
            "out_channels",
            "kernel_size",
            "stride",
            "padding",
            "dilation",
            "groups",
            "padding_mode",
        )
        same = {name: getattr(conv, name) for name in names}
        here = {"device": "meta", "dtype": conv.weight.dtype}
        return cls(**same, bias=conv.bias is not None, p=p, **options, **here)._adopt(conv)

    def forward(self, x: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            x, padding = F.pad(x, self._reversed_padding_repeated_twice, self.padding_mode), 0
        options = {"stride": self.stride, "padding": padding, "dilation": self.dilation, "groups": self.groups}
        return self._run(x, drop_connect_conv2d, gaussian_moments_conv2d, **options)
