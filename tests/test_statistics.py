"""What the layers do on average: realised rates, independence, first two moments, and properties of any input.

All comparisons of this file together fail a right package with the probability FAMILY_ERROR (Bonferroni): each is a
z-score, and the limit follows from how many there are, counted where they are declared. A new comparison makes the
limit of all the others wider, never the error of the file larger. The generators are fixed, so that a run which passed
once passes always; the error is that of the day on which a stream of random numbers changes.

Each score is taken over units that a right layer treats independently (samples, weights, words, calls), with the
standard error estimated from these units: cells of one block, or of one channel, are not counted as independent.
What single masks do (lags, bytes, golden values) is tested in test_masks.py, and what one layer does beside it.
"""

import functools
import math

import pytest
import torch
from family import FUNCTIONS, generator, random
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

import companion

FAMILY_ERROR = 1e-3
declared = 0  # comparisons in this file


def limit():
    return float(norm.isf(FAMILY_ERROR / (2 * declared)))


def compared(cases, scores_a_case=1):
    """The test returns this many z-scores for each case; all must lie below the limit of the whole file."""
    global declared
    cases = list(cases)
    declared += len(cases) * scores_a_case

    def wrap(test):
        @pytest.mark.parametrize("case", cases, ids=lambda case: "-".join(str(part) for part in case))
        @functools.wraps(test)
        def run(case):
            scores = test(*case)
            assert len(scores) == scores_a_case
            assert max(map(abs, scores)) < limit(), f"z = {scores}, limit {limit():.2f}"

        del run.__wrapped__  # else pytest takes its arguments for fixtures
        return run

    return wrap


def z_of_mean(values, expected):
    """How many standard errors the mean of independent values lies off."""
    values = values.double() - expected
    deviation = float(values.std()) / math.sqrt(len(values))
    mean = float(values.mean())
    return mean / deviation if deviation > 0 else math.copysign(math.inf, mean) if abs(mean) > 1e-12 else 0.0


# --- what is dropped --------------------------------------------------------------------------------------------------


def ones(*shape, dtype=torch.float32):
    return torch.ones(shape, dtype=dtype)


def dropped(f, p, samples, source, dtype=torch.float32):
    """0 or 1 for each coin, a row for each independent unit, at least ``samples`` of them."""
    if f.masks:
        return (f(ones(samples, *f.shape[1:], dtype=dtype), p, generator=source) == 0).flatten(1)
    if f.name == "alpha_dropout":  # what is dropped becomes negative, what is kept stays positive
        return f(ones(samples, *f.shape[1:], dtype=dtype), p, generator=source) < 0
    if f.name == "embedding_dropout":
        return (f(ones(samples, 2, dtype=dtype), p, generator=source) == 0)[:, :1]
    if f.name == "drop_connect_linear":  # an input with a single one shows the weights themselves
        each = f.variant == "per example"
        width = 4 if each else math.ceil(samples / 10)
        x = torch.eye(width, dtype=dtype)[[0] * samples] if each else torch.eye(width, dtype=dtype)
        y = companion.drop_connect_linear(x, ones(10, width, dtype=dtype), None, p, True, each, generator=source)
        return y == 0 if each else (y == 0).reshape(-1, 1)
    if f.name == "drop_connect_conv2d":
        x, kernel = ones(samples, 1, 1, 1, dtype=dtype), ones(6, 1, 1, 1, dtype=dtype)
        return companion.drop_connect_conv2d(x, kernel, None, p, True, True, generator=source).flatten(1) == 0
    assert f.name == "stochastic_depth"
    calls = samples if f.one_coin else 1
    x = torch.zeros(1 if f.one_coin else samples, 2, dtype=dtype)
    mode = "batch" if f.one_coin else "sample"
    draws = [companion.stochastic_depth(x, torch.cos, p, True, mode, generator=source) == 0 for _ in range(calls)]
    return torch.cat(draws)[:, :1]


DROPPING = [
    f for f in FUNCTIONS if f.name != "gaussian_dropout" and f.variant != "shared"
]  # "paper" is not meant to hit p
SAMPLES = 4000


@compared(
    [(f, p, torch.float32) for f in DROPPING for p in (0.01, 0.1, 0.3, 0.5, 0.9)]
    + [(f, 0.3, dtype) for f in DROPPING for dtype in (torch.float64, torch.bfloat16, torch.float16)],
    scores_a_case=2,
)
def test_realised_rate(f, p, dtype):
    """Of one large call, and of many small ones, which may go another way."""
    source = generator(31)
    large = dropped(f, p, SAMPLES, source, dtype)
    small = torch.cat([dropped(f, p, 40, source, dtype) for _ in range(SAMPLES // 40)])
    return [z_of_mean(rows.double().mean(1), p) for rows in (large, small)]


@compared([(f, p) for f in DROPPING for p in (0.1, 0.5)], scores_a_case=3)
def test_units_and_calls_are_independent(f, p):
    """Products of deviations of neighbouring units, of far units, and of one unit in two calls: zero on average."""
    source = generator(32)
    first, second = (dropped(f, p, SAMPLES, source).double().mean(1) - p for _ in range(2))
    pairs = first[: len(first) // 2 * 2].view(-1, 2)
    halves = first[: len(first) // 2 * 2].view(2, -1)
    return [z_of_mean(product, 0) for product in (pairs.prod(1), halves.prod(0), first * second)]


CHANNELS = [f for f in DROPPING if f.masks and len(f.shape) > 2 and f.name not in ("drop_path", "locked_dropout")]


@compared([(f, p) for f in CHANNELS for p in (0.1, 0.5)], scores_a_case=2)
def test_channels_are_independent(f, p):
    y = f(ones(SAMPLES, *f.shape[1:]), p, generator=generator(33))
    rates = (y == 0).flatten(2).double().mean(2) - p
    return [z_of_mean(rates[:, 0] * rates[:, 1], 0), z_of_mean(rates[:, 0] * rates[:, -1], 0)]


@compared([(f, p) for f in CHANNELS for p in (0.1, 0.5)], scores_a_case=1)
def test_no_channel_is_dropped_more_often(f, p):
    """First against last channel, as a paired difference."""
    y = f(ones(SAMPLES, *f.shape[1:]), p, generator=generator(34))
    rates = (y == 0).flatten(2).double().mean(2)
    return [z_of_mean(rates[:, 0] - rates[:, -1], 0)]


# --- moments ----------------------------------------------------------------------------------------------------------

SCALED = [f for f in FUNCTIONS if f.masks and f.factor is not None]


@compared([(f, p, dtype) for f in SCALED for p in (0.1, 0.5, 0.9) for dtype in (torch.float32, torch.float16)], 2)
def test_first_two_moments_of_a_mask(f, p, dtype):
    """E[y] = (1-p) s x and E[y^2] = (1-p) s^2 x^2 with the factor s; the second is not that of the input."""
    x = 1.5
    y = f(torch.full((SAMPLES, *f.shape[1:]), x, dtype=dtype), p, generator=generator(35)).double().flatten(1)
    kept = torch.tensor(x * f.factor(p), dtype=torch.float64).to(dtype).double()  # as the format holds it
    return [z_of_mean(y.mean(1), (1 - p) * kept), z_of_mean(y.square().mean(1), (1 - p) * kept**2)]


@compared([(p, dtype) for p in (0.1, 0.5, 0.9) for dtype in (torch.float64, torch.float32)], scores_a_case=2)
def test_first_two_moments_of_gaussian_dropout(p, dtype):
    """Those of dropout at the same rate, of the ratio of output and input."""
    y = companion.gaussian_dropout(ones(SAMPLES * 40, dtype=dtype), p, generator=generator(36))
    return [z_of_mean(y, 1), z_of_mean(y.double().square(), 1 / (1 - p))]


@compared([(dtype,) for dtype in (torch.bfloat16, torch.float16)], scores_a_case=2)
def test_gaussian_dropout_in_sixteen_bits(dtype):
    y = companion.gaussian_dropout(ones(SAMPLES * 40, dtype=dtype), 0.3, generator=generator(37))
    return [z_of_mean(y, 1), z_of_mean(y.double().square(), 1 / 0.7)]


@compared([(p,) for p in (0.05, 0.1, 0.3, 0.5)], scores_a_case=2)
def test_alpha_dropout_keeps_mean_and_variance_of_standard_input(p):
    x = torch.randn(SAMPLES * 40, dtype=torch.float64, generator=generator(38))
    y = companion.alpha_dropout(x, p, generator=generator(39))
    return [z_of_mean(y, 0), z_of_mean(y.square(), 1)]


@compared([(p,) for p in (0.1, 0.5)], scores_a_case=4)
def test_moments_of_drop_connect(p):
    """Of the output: the mean of the plain layer, and the variance p / (1-p) * sum (W x)^2."""
    weight, x = random(5, 8), random(8)
    source, rows = generator(40), x.expand(SAMPLES, 8)
    y = companion.drop_connect_linear(rows, weight, None, p, True, True, generator=source)
    maps, kernel = rows[:, :, None, None], weight[:, :, None, None]
    z = companion.drop_connect_conv2d(maps, kernel, None, p, True, True, generator=source).flatten(1)
    mean, variance = weight[0] @ x, p / (1 - p) * (weight[0] * x).square().sum()
    return [
        z_of_mean(values, expected)
        for out in (y[:, 0], z[:, 0])
        for values, expected in ((out, mean), ((out - mean).square(), variance))
    ]


@compared([(mode, p) for mode in ("batch", "sample") for p in (0.1, 0.5)], scores_a_case=1)
def test_mean_of_a_block_with_stochastic_depth(mode, p):
    x = random(3, 4)
    source = generator(41)
    y = torch.stack([companion.stochastic_depth(x, torch.exp, p, True, mode, generator=source) for _ in range(SAMPLES)])
    return [z_of_mean(y[:, 0, 0], float((x + x.exp())[0, 0]))]


@compared([(p,) for p in (0.1, 0.5)], scores_a_case=1)
def test_mean_of_embedding_dropout(p):
    """The coin of a word is the same wherever the word stands, so the words are the units."""
    table = torch.full((SAMPLES, 1), 3.0, dtype=torch.float64)
    y = companion.embedding_dropout(torch.arange(SAMPLES), table, p, generator=generator(42))
    return [z_of_mean(y[:, 0], 3)]


# --- the yardstick itself ---------------------------------------------------------------------------------------------


def test_the_limit_follows_from_the_number_of_comparisons():
    assert declared > 300
    assert 2 * declared * norm.sf(limit()) == pytest.approx(FAMILY_ERROR)


def test_a_wrong_rate_is_seen():
    """A layer that drops one per cent of the rate more, or whose units share coins, does not pass."""
    f = next(f for f in FUNCTIONS if str(f) == "dropout")
    source = generator(43)
    rows = dropped(f, 0.303, 100_000, source).double().mean(1)
    assert abs(z_of_mean(rows, 0.3)) > limit()
    halves = rows[:SAMPLES] - 0.3
    assert abs(z_of_mean(halves * halves, 0)) > limit()


# --- any input --------------------------------------------------------------------------------------------------------

FLOATS = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
RATES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1e-300, 0.5, 1 - 2**-53, 1.0]))
masking = pytest.mark.parametrize("f", [f for f in FUNCTIONS if f.masks], ids=str)


def shapes(f):
    """Shapes with the number of dimensions that f takes; now and then one with enough elements for its other way."""
    small = st.tuples(*[st.integers(0 if axis == 0 else 1, 7) for axis in range(len(f.shape))])
    return st.one_of(small, small.map(lambda shape: (2000, *shape[1:])))


@masking
@given(data=st.data(), p=RATES, dtype=st.sampled_from(FLOATS), seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_an_output_is_its_input_times_zero_or_one_factor(f, data, p, dtype, seed):
    x = random(*data.draw(shapes(f)), dtype=dtype, seed=seed)
    y = f(x, p, generator=generator(seed))
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    kept = (y != 0) | (x == 0)
    if p == 1:
        assert bool((y == 0).all())
    elif f.factor is not None:
        expected = (x.double() * f.factor(p)).to(dtype).where(kept, torch.zeros((), dtype=dtype))
        torch.testing.assert_close(y, expected, rtol=2 * torch.finfo(dtype).eps, atol=0)
    elif bool((kept & (x != 0)).any()):  # the factor follows from the draw: cells over kept cells
        mask = f(torch.ones_like(x, dtype=torch.float64), p, generator=generator(seed)) != 0
        factor = mask.numel() / int(mask.sum())
        expected = (x.double() * factor).to(dtype).where(mask, torch.zeros((), dtype=dtype))
        torch.testing.assert_close(y, expected, rtol=2 * torch.finfo(dtype).eps, atol=0)


@masking
@given(data=st.data(), p=RATES, seed=st.integers(0, 2**32), a=st.floats(-4, 4), b=st.floats(-4, 4))
@settings(max_examples=15, deadline=None)
def test_a_drawn_layer_is_linear(f, data, p, seed, a, b):
    shape = data.draw(shapes(f))
    x, y = random(*shape, seed=1), random(*shape, seed=2)
    both = f(a * x + b * y, p, generator=generator(seed))
    apart = a * f(x, p, generator=generator(seed)) + b * f(y, p, generator=generator(seed))
    torch.testing.assert_close(both, apart, rtol=1e-9, atol=1e-9 * (1 + float(apart.abs().sum())))


@given(x=st.floats(-100, 100), p=st.floats(0, 0.999), seed=st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_alpha_dropout_gives_one_of_two_values(x, p, seed):
    """a x + b where it keeps and b - a A where it drops, whatever the input is."""
    off = 1.7580993408473766
    a = ((1 - p) * (1 + p * off**2)) ** -0.5
    y = companion.alpha_dropout(torch.full((50,), x, dtype=torch.float64), p, generator=generator(seed))
    values = torch.tensor([x if p == 0 else a * x + a * p * off, a * p * off - a * off], dtype=torch.float64)
    assert float((y.unsqueeze(1) - values).abs().min(1).values.max()) < 1e-9 * max(1, abs(x)) * max(1, a)


@given(p=RATES, seed=st.integers(0, 2**32), n=st.integers(0, 40), mode=st.sampled_from(["batch", "sample"]))
@settings(max_examples=50, deadline=None)
def test_a_row_passes_its_branch_scaled_or_not_at_all(p, seed, n, mode):
    x = random(n, 3)
    y = companion.stochastic_depth(x, torch.cos, p, True, mode, generator=generator(seed))
    passed = (y != x).any(1)
    if p < 1:
        torch.testing.assert_close(y[passed], (x + x.cos() / (1 - p))[passed])
    else:
        assert not bool(passed.any())
    assert mode == "sample" or len(set(passed.tolist())) <= 1
