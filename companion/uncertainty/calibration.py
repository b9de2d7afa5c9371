"""Whether stated probabilities can be believed: reliability, expected calibration error, likelihood, Brier score."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.masks import bernoulli


def _check(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Returns the probabilities in float64, or raises an error that names what is wrong."""
    for name, value in (("probabilities", probabilities), ("labels", labels)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a Tensor, got {type(value).__name__}")
    if not probabilities.is_floating_point():
        raise TypeError(f"probabilities must be a floating-point tensor, got {probabilities.dtype}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(f"labels must be a tensor of integers, got {labels.dtype}")
    if probabilities.ndim < 2 or probabilities.numel() == 0:
        raise ValueError(f"probabilities must have the shape (..., n, classes), got {tuple(probabilities.shape)}")
    if labels.shape != probabilities.shape[:-1]:
        raise ValueError(f"labels must have the shape {tuple(probabilities.shape[:-1])}, got {tuple(labels.shape)}")
    classes = probabilities.shape[-1]
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        got = f"got values from {int(labels.min())} to {int(labels.max())}"
        raise ValueError(f"labels must be in [0, {classes - 1}], {got}")
    p = probabilities.detach().double()
    off = (p.sum(-1) - 1).abs().max()
    if not bool(((p >= 0) & (p <= 1 + 1e-6)).all()) or not off <= (1e-4 if probabilities.element_size() > 2 else 1e-2):
        raise ValueError(
            "probabilities must be in [0, 1] and sum to 1 over the last axis (logits need a softmax first), "
            f"got values from {float(p.min()):.4g} to {float(p.max()):.4g} and sums off by up to {float(off):.4g}"
        )
    return p


def _check_bins(bins: int) -> None:
    if isinstance(bins, bool) or not isinstance(bins, int):
        raise TypeError(f"bins must be an int, got {type(bins).__name__}")
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")


def _answers(probabilities: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Confidence of each answer, and whether it is right (1 or 0)."""
    confidence, answer = _check(probabilities, labels).max(-1)
    return confidence.clamp(max=1), (answer == labels).double()


def _bin_of(confidence: Tensor, bins: int) -> Tensor:
    return (confidence * bins).long().clamp(max=bins - 1)


def _binned(values: Tensor, bin_of: Tensor, bins: int) -> Tensor:
    """Sums of the values (..., n) over each bin: (..., bins)."""
    return values.new_zeros(*values.shape[:-1], bins).scatter_add_(-1, bin_of, values)


def _error(confidence: Tensor, right: Tensor, bins: int) -> Tensor:
    return _binned(right - confidence, _bin_of(confidence, bins), bins).abs().sum(-1) / confidence.shape[-1]


@dataclass(frozen=True)
class Reliability:
    """Answers sorted by their confidence into bins: what a reliability diagram draws.

    Attributes:
        edges: Tensor[bins + 1], from 0 to 1; a bin holds its lower edge, the last one both.
        count: Tensor[..., bins] of ``torch.int64``, number of answers in each bin.
        confidence: Tensor[..., bins], mean confidence in each bin; NaN in an empty one.
        accuracy: Tensor[..., bins], share of right answers in each bin; NaN in an empty one.
    """

    edges: Tensor
    count: Tensor
    confidence: Tensor
    accuracy: Tensor


def reliability(probabilities: Tensor, labels: Tensor, bins: int = 15) -> Reliability:
    """Accuracy against confidence, in equally wide bins of the confidence (the probability of the likeliest class).

    Args:
        probabilities: Tensor[..., n, classes], of n predictions; leading axes are models, say.
        labels: Tensor[..., n] of integers in [0, classes).
        bins: number of bins of [0, 1].

    Raises:
        TypeError, ValueError: if the probabilities do not sum to 1, or the labels do not fit them.

    Reference: Guo et al. (2017), sec. 2.
    """
    _check_bins(bins)
    confidence, right = _answers(probabilities, labels)
    bin_of = _bin_of(confidence, bins)
    count = _binned(torch.ones_like(right), bin_of, bins)
    return Reliability(
        edges=torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=count.device),
        count=count.long(),
        confidence=_binned(confidence, bin_of, bins) / count,
        accuracy=_binned(right, bin_of, bins) / count,
    )


def expected_calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> Tensor:
    r"""How far confidence is from accuracy, averaged over bins of the confidence (ECE).

    .. math:: \mathrm{ECE} = \sum_b \frac{n_b}{n}\,\big|\mathrm{acc}_b - \mathrm{conf}_b\big|

    The estimate is biased upwards, because chance alone parts accuracy from confidence in every bin: a perfectly
    calibrated model shows about :math:`0.8 \sum_b \sqrt{n_b\,c_b(1-c_b)}/n` instead of 0, with the mean confidence
    :math:`c_b`; some 0.03 for 1000 examples in 15 bins. :func:`calibration_interval` measures this floor.

    Args:
        probabilities: Tensor[..., n, classes], of n predictions; leading axes are models, say.
        labels: Tensor[..., n] of integers in [0, classes).
        bins: number of equally wide bins of [0, 1]. A bin holds its lower edge, the last one 1 too; empty bins count 0.

    Returns:
        Tensor[...] of ``torch.float64``, between 0 and 1.

    Raises:
        TypeError, ValueError: if the probabilities do not sum to 1, or the labels do not fit them.

    Reference: Guo et al. (2017), sec. 2; the bias: Bröcker (2012); Kumar et al. (2019), sec. 4.
    """
    _check_bins(bins)
    return _error(*_answers(probabilities, labels), bins)


@dataclass(frozen=True)
class CalibrationInterval:
    """Expected calibration error with its uncertainty.

    Attributes:
        error: the estimate, biased upwards.
        low, high: ends of the interval. The bias is taken off, so that the estimate itself may lie above ``high``.
        level: confidence level of the interval.
        floor: what a perfectly calibrated model with the same confidences would show on average.
    """

    error: float
    low: float
    high: float
    level: float
    floor: float


def calibration_interval(
    probabilities: Tensor,
    labels: Tensor,
    bins: int = 15,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    generator: torch.Generator | None = None,
) -> CalibrationInterval:
    r"""Expected calibration error with a bootstrap interval, and the error that chance alone would show.

    Resampling the examples biases the error upwards once more, by about as much as the estimate is biased already. So
    the quantiles of the resampled errors are reflected about the estimate :math:`e`, which takes the bias off (basic
    bootstrap): :math:`[2e - q_\text{high},\; 2e - q_\text{low}]`, cut at 0 and 1. The plain quantiles would almost
    never hold the true error of a well calibrated model. Labels drawn from the confidences tell what a perfectly
    calibrated model would show; where the estimate does not stand out from that, the interval starts at 0.

    Args:
        probabilities: Tensor[n, classes].
        labels: Tensor[n] of integers in [0, classes).
        bins: number of equally wide bins of [0, 1].
        level: confidence level, in (0, 1).
        resamples: number of bootstrap samples, and of sets of labels.
        generator: source of randomness on the CPU; default: torch's global one.

    Raises:
        TypeError, ValueError: if the probabilities do not sum to 1, the labels do not fit, or an argument is out of
            range.

    Cost: resamples x n random integers and coins, some thousand examples at a time.

    Reference: Davison & Hinkley (1997), sec. 5.2 (basic bootstrap); Bröcker & Smith (2007) (consistency resampling).
    """
    _check_bins(bins)
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}")
    confidence, right = _answers(probabilities, labels)
    if confidence.ndim != 1:
        raise ValueError(f"probabilities must have the shape (n, classes), got {tuple(probabilities.shape)}")
    confidence, right = confidence.cpu(), right.cpu()
    n = len(confidence)
    resampled, by_chance = [], []
    for size in torch.full((resamples,), 1).split(max(1, 2**20 // n)):
        chosen = torch.randint(n, (len(size), n), generator=generator)
        resampled.append(_error(confidence[chosen], right[chosen], bins))
        # kept with the probability of the confidence: right as often as a calibrated model is
        lucky = bernoulli(chosen.shape, 1 - confidence, generator=generator).double()
        by_chance.append(_error(confidence.expand(chosen.shape), lucky, bins))
    error = float(_error(confidence, right, bins))
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64)
    low, high = (2 * error - torch.cat(resampled).quantile(tails).flip(0)).clamp(0, 1).tolist()
    chance = torch.cat(by_chance)
    if error <= float(chance.quantile(tails[1])):
        low = 0.0
    return CalibrationInterval(error, low, high, level, float(chance.mean()))


def nll(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Mean negative log-likelihood of the labels, in nats. (:func:`companion.training.nll` takes logits instead.)

    The mean of Monte-Carlo passes is a mixture of probabilities and has no logits: its likelihood is taken here.

    Args:
        probabilities: Tensor[..., n, classes]; leading axes are models, say.
        labels: Tensor[..., n] of integers in [0, classes).

    Returns:
        Tensor[...] of ``torch.float64``, at least 0; infinite if a label has the probability 0.

    Raises:
        TypeError, ValueError: if the probabilities do not sum to 1, or the labels do not fit them.
    """
    p = _check(probabilities, labels)
    return -p.gather(-1, labels.long()[..., None]).squeeze(-1).log().mean(-1)


def brier(probabilities: Tensor, labels: Tensor) -> Tensor:
    r"""Brier score: squared distance of the probabilities from the label, summed over classes, averaged over examples.

    .. math:: \frac1n \sum_i \sum_c \big(p_{ic} - [y_i = c]\big)^2

    Args:
        probabilities: Tensor[..., n, classes]; leading axes are models, say.
        labels: Tensor[..., n] of integers in [0, classes).

    Returns:
        Tensor[...] of ``torch.float64``, from 0 to 2. (For two classes, twice the score of one probability.)

    Raises:
        TypeError, ValueError: if the probabilities do not sum to 1, or the labels do not fit them.

    Reference: Brier (1950).
    """
    p = _check(probabilities, labels)
    return (p - F.one_hot(labels.long(), p.shape[-1])).square().sum(-1).mean(-1)
