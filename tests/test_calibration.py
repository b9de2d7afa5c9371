"""Calibration: a reliability diagram's numbers, the error with its interval and its floor, likelihood, Brier score.

Statistical tests use fixed seeds and 4.5 standard errors.
"""

import math

import pytest
import torch

from companion.training import nll as nll_of_logits
from companion.uncertainty import brier, calibration_interval, expected_calibration_error, nll, reliability

LIMIT = 4.5


def two_classes(confidence):
    confidence = torch.tensor(confidence, dtype=torch.float64)
    return torch.stack([confidence, 1 - confidence], -1)


def test_reliability_by_hand():
    p = two_classes([0.55, 0.65, 0.65, 1.0])
    y = torch.tensor([0, 0, 1, 0])
    table = reliability(p, y, bins=10)
    assert table.edges.tolist() == pytest.approx([i / 10 for i in range(11)])
    assert table.count.tolist() == [0, 0, 0, 0, 0, 1, 2, 0, 0, 1]  # confidence 1 is in the last bin
    assert table.confidence[[5, 6, 9]].tolist() == pytest.approx([0.55, 0.65, 1.0])
    assert table.accuracy[[5, 6, 9]].tolist() == pytest.approx([1.0, 0.5, 1.0])
    assert bool(table.accuracy[:5].isnan().all()) and bool(table.confidence[7:9].isnan().all())
    error = expected_calibration_error(p, y, bins=10)
    assert float(error) == pytest.approx((0.45 + 2 * 0.15 + 0) / 4)  # weighted by the count; empty bins count 0
    stacked = expected_calibration_error(torch.stack([p, p.flip(-1)]), torch.stack([y, y]), bins=10)
    assert stacked.shape == (2,) and float(stacked[0]) == pytest.approx(float(error)) and stacked[1] != stacked[0]


def test_one_class_is_always_right():
    p, y = torch.ones(5, 1), torch.zeros(5, dtype=torch.int64)
    assert float(expected_calibration_error(p, y)) == float(nll(p, y)) == float(brier(p, y)) == 0
    interval = calibration_interval(p, y, resamples=20)
    assert (interval.error, interval.low, interval.high, interval.floor) == (0, 0, 0, 0)


def test_nll_and_brier():
    logits = torch.randn(2, 30, 4, generator=torch.Generator().manual_seed(1))
    y = torch.randint(4, (2, 30), generator=torch.Generator().manual_seed(0))
    p = logits.double().softmax(-1)
    torch.testing.assert_close(nll(p, y), nll_of_logits(logits, y))
    by_hand = sum((p[0, i, c] - float(y[0, i] == c)) ** 2 for i in range(30) for c in range(4)) / 30
    torch.testing.assert_close(brier(p, y)[0], by_hand)
    sure = two_classes([1.0, 1.0])
    assert float(nll(sure, torch.tensor([0, 1]))) == math.inf
    assert brier(sure, torch.tensor([0, 0])) == 0 and brier(sure, torch.tensor([1, 1])) == 2


P, Y = two_classes([0.5, 0.7]), torch.tensor([0, 1])


@pytest.mark.parametrize("f", [expected_calibration_error, reliability, calibration_interval, nll, brier])
@pytest.mark.parametrize(
    ("error", "words", "p", "y"),
    [
        (ValueError, "sum to 1", P.log(), Y),
        (ValueError, "sum to 1", P * 0.9, Y),
        (ValueError, "sum to 1", P * math.nan, Y),
        (ValueError, "sum to 1", torch.tensor([[1.5, -0.5], [0.5, 0.5]]), Y),
        (ValueError, "labels must be in", P, Y + 1),
        (ValueError, "labels must be in", P, Y - 1),
        (ValueError, "labels must have the shape", P, Y[:1]),
        (ValueError, "probabilities must have the shape", P[0], Y[0]),
        (ValueError, "probabilities must have the shape", P[:0], Y[:0]),
        (TypeError, "labels must be a tensor of integers", P, Y.double()),
        (TypeError, "probabilities must be a floating-point tensor", P.long(), Y),
        (TypeError, "probabilities must be a Tensor", [[0.5, 0.5]], Y),
    ],
)
def test_bad_probabilities_and_labels(f, error, words, p, y):
    with pytest.raises(error, match=words):
        f(p, y)


def test_bad_arguments_of_calibration():
    for f in (expected_calibration_error, reliability, calibration_interval):
        with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
            f(P, Y, bins=0)
        with pytest.raises(TypeError, match="bins must be an int, got float"):
            f(P, Y, bins=1.5)
    for arguments in ({"level": 1.0}, {"level": math.nan}, {"resamples": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(arguments))} must be"):
            calibration_interval(P, Y, **arguments)
    with pytest.raises(ValueError, match=r"shape \(n, classes\)"):
        calibration_interval(P[None], Y[None])


def answers(n, gap, seed):
    """Confidences in [0.5, 1], and answers that are right less often by ``gap``."""
    generator = torch.Generator().manual_seed(seed)
    confidence = 0.5 + 0.5 * torch.rand(n, dtype=torch.float64, generator=generator)
    right = torch.rand(n, dtype=torch.float64, generator=generator) < confidence - gap
    return two_classes(confidence.tolist()), (~right).long()


def test_sixteen_bits_sum_to_one_well_enough():
    p, y = answers(50, 0, 0)
    close = float(expected_calibration_error(p.bfloat16(), y))
    assert abs(close - float(expected_calibration_error(p, y))) < 0.1


def test_calibrated_answers_show_the_floor():
    """The bias that the docstring states: 0.8 sum sqrt(n_b c (1 - c)) / n for a perfectly calibrated model."""
    errors, floors = [], []
    for seed in range(40):
        p, y = answers(1000, 0.0, seed)
        errors.append(float(expected_calibration_error(p, y)))
        generator = torch.Generator().manual_seed(seed)
        floors.append(calibration_interval(p, y, resamples=50, generator=generator).floor)
    table = reliability(p, y)
    filled = table.count > 0
    c = table.confidence[filled]
    stated = 0.8 * float((table.count[filled] * c * (1 - c)).sqrt().sum()) / 1000
    errors, floors = torch.tensor(errors), torch.tensor(floors)
    assert abs(float(errors.mean()) - float(floors.mean())) < LIMIT * float(errors.std()) / math.sqrt(40)
    assert abs(float(floors.mean()) - stated) < 0.003 and 0.025 < stated < 0.04


@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_the_interval_holds_the_true_error(gap):
    """80 sets of 1000 answers: at 95 % 4 misses are expected; 20 or more have a probability below 1e-8."""
    misses = plain_misses = 0
    for seed in range(80):
        p, y = answers(1000, gap, seed)
        generator = torch.Generator().manual_seed(seed)
        interval = calibration_interval(p, y, bins=10, resamples=120, generator=generator)
        misses += not interval.low <= gap <= interval.high
        plain_misses += not gap >= 2 * interval.error - interval.high  # where plain quantiles would begin
        assert 0 <= interval.low <= interval.high <= 1 and interval.floor > 0
    assert misses < 20
    if gap == 0:
        assert plain_misses == 80


def test_interval_is_a_function_of_its_generator():
    p, y = answers(100, 0.1, 0)
    a, b = (calibration_interval(p, y, resamples=50, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert a == b and a.error == float(expected_calibration_error(p, y))
    wide = calibration_interval(p, y, resamples=400, level=0.99)
    narrow = calibration_interval(p, y, resamples=400, level=0.5)
    assert wide.high - wide.low > narrow.high - narrow.low
