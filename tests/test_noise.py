"""Gaussian and alpha dropout: values, the moments that each keeps, gradients, dtypes, and the peers' mistakes.

Statistical tests use fixed generators and 4.5 standard errors: a right layer fails one comparison with 7e-6. There are
some 80 comparisons, so a right file fails with 6e-4, for one fixed draw of the generators.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion import AlphaDropout, GaussianDropout, alpha_dropout, dropout, gaussian_dropout
from companion.masks import FEW, element_mask, normal_like

LIMIT = 4.5
FUNCTIONS = [gaussian_dropout, alpha_dropout]
MODULES = [(GaussianDropout, gaussian_dropout), (AlphaDropout, alpha_dropout)]
SIZES = [(5, 7), (FEW // 8, 11)]
A = 1.0507009873554805 * 1.6732632423543772  # scale * alpha of SELU


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, dtype=torch.float64, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed)).to(dtype)


def line(p):
    """a and b of alpha dropout."""
    a = ((1 - p) * (1 + p * A**2)) ** -0.5
    return a, a * p * A


def alpha_by_hand(x, mask, p):
    a, b = line(p)
    return a * torch.where(mask.bool(), x, torch.full_like(x, -A)) + b


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.8, torch.tensor(0.3, dtype=torch.float64)])
def test_gaussian_multiplies_by_a_normal_number(shape, p):
    x = random(*shape)
    noise = normal_like(x, generator=generator())
    y = gaussian_dropout(x, p, generator=generator())
    q = float(p)
    torch.testing.assert_close(y, x * (1 + math.sqrt(q / (1 - q)) * noise), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.8, torch.tensor(0.3, dtype=torch.float64)])
def test_alpha_sets_to_the_value_of_a_unit_that_is_off(shape, p):
    x = random(*shape)
    mask = element_mask(x, p, generator=generator())
    y = alpha_dropout(x, p, generator=generator())
    torch.testing.assert_close(y, alpha_by_hand(x, mask, float(p)), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_alpha_has_the_two_values_of_torch(p):
    """What torch does to an element that it keeps and to one that it drops, compared without the masks."""
    x = torch.full((2000,), 0.75)
    torch.manual_seed(0)
    theirs = F.alpha_dropout(x, p, training=True).unique()
    ours = alpha_dropout(x, p, generator=generator()).unique()
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=2e-7)


def test_the_dropped_value_is_that_of_selu_far_left():
    far = F.selu(torch.tensor(-1e3, dtype=torch.float64)).item()
    assert far == pytest.approx(-A, abs=1e-12)
    a, b = line(0.4)
    y = alpha_dropout(torch.full((100,), far, dtype=torch.float64), 0.4, generator=generator())
    torch.testing.assert_close(y, torch.full_like(y, a * far + b))  # dropping a unit that is off changes nothing


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("p", [0.4, torch.tensor(0.4, dtype=torch.float64)])
def test_alpha_where_a_number_is_not_finite(shape, value, p):
    """torch multiplies by the mask, and infinity times zero is NaN; here what is dropped has its value all the same."""
    x = torch.full(shape, value, dtype=torch.float64, requires_grad=True)
    fallen = element_mask(x, 0.4, generator=generator()) == 0
    y = alpha_dropout(x, p, generator=generator())
    a, b = line(0.4)
    torch.testing.assert_close(y[fallen], torch.full_like(y[fallen], b - a * A))
    torch.testing.assert_close(y[~fallen], torch.full_like(y[~fallen], value), equal_nan=True)
    y.sum().backward()
    torch.testing.assert_close(x.grad, a * (~fallen).double())


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("training", [True, False])
def test_nothing_to_do_gives_the_input_object(function, training):
    x = random(5, 4)
    assert function(x, 0.0, training) is x and function(x, 0.7, False) is x


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("p", [1.0, 1, torch.tensor(1.0), torch.ones(1, 1)])
@pytest.mark.parametrize("value", [2.0, math.inf])
def test_rate_one_gives_zeros_with_zero_gradients(function, shape, p, value):
    """Keras divides by zero here; a gradient of 0 times infinity would be NaN."""
    x = torch.full(shape, value, requires_grad=True)
    y = function(x, p)
    assert bool((y == 0).all())
    y.sum().backward()
    assert bool((x.grad == 0).all())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_dropping_is_the_default(function):
    """torch.nn.functional.alpha_dropout has training=False: written in a model, it does nothing and says nothing."""
    x = random(1000)
    torch.manual_seed(0)
    y = function(x)
    torch.manual_seed(0)
    assert torch.equal(y, function(x, 0.5, True)) and not torch.equal(y, x)
    assert torch.equal(F.alpha_dropout(x), x)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("shape", SIZES)
def test_input_is_not_changed(function, shape):
    x = random(*shape)
    before = x.clone()
    for p in (0.3, torch.tensor(0.3), 1.0):
        function(x, p)
    assert torch.equal(x, before)


@pytest.mark.parametrize("columns", [4, FEW])
def test_one_rate_a_model(columns):
    p = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64).view(3, 1)
    x = random(3, columns)
    for function in FUNCTIONS:
        y = function(x, p, generator=generator())
        torch.testing.assert_close(y[0], x[0])
        assert bool((y[2] == 0).all()) and not bool((y[1] == x[1]).any())
    mask = element_mask(x, p, generator=generator())
    torch.testing.assert_close(alpha_dropout(x, p, generator=generator())[1], alpha_by_hand(x[1], mask[1], 0.3))
    noise = normal_like(x, generator=generator())
    expected = x[1] * (1 + math.sqrt(3 / 7) * noise[1])
    torch.testing.assert_close(gaussian_dropout(x, p, generator=generator())[1], expected)


# --- moments ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_gaussian_has_the_mean_and_variance_of_dropout(p):
    n, value = 1_000_000, 3.0
    y = gaussian_dropout(torch.full((n,), value, dtype=torch.float64), p, generator=generator(2))
    variance = value**2 * p / (1 - p)
    assert abs(float(y.mean()) - value) < LIMIT * math.sqrt(variance / n)
    assert abs(float(y.var()) - variance) < LIMIT * variance * math.sqrt(2 / n)
    negative = 0.5 * math.erfc(math.sqrt((1 - p) / p) / math.sqrt(2))  # Phi(-1/sigma)
    assert abs(float((y < 0).double().mean()) - negative) < LIMIT * math.sqrt(negative * (1 - negative) / n)
    third = float(((y - value) ** 3).mean()) / variance**1.5  # a coin's is not zero unless p = 0.5
    assert abs(third) < LIMIT * math.sqrt(15 / n)
    by_coins = float(dropout(torch.full((n,), value, dtype=torch.float64), p, generator=generator(2)).var())
    assert by_coins == pytest.approx(variance, rel=0.01)


def test_sixteen_percent_of_the_factors_are_negative_at_one_half():
    """The two numbers of the docstring."""
    assert 0.5 * math.erfc(1 / math.sqrt(2)) == pytest.approx(0.16, abs=0.005)
    assert 0.5 * math.erfc(3 / math.sqrt(2)) == pytest.approx(0.001, abs=0.0005)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_elements_and_calls_are_independent(function):
    source, n = generator(3), 500_000
    x = torch.ones(n, dtype=torch.float64)
    first, second = (function(x, 0.3, generator=source) for _ in range(2))
    first, second = ((y - y.mean()) / y.std() for y in (first, second))
    for lag in (1, 2, 3, 7, 8, 16, 64, 1000):
        assert abs(float(first[lag:] @ first[:-lag]) / math.sqrt(n - lag)) < LIMIT, lag
    assert abs(float(first @ second) / math.sqrt(n)) < LIMIT


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("n", [FEW - 1, 1_000_000])
def test_realised_rate_of_alpha(p, n):
    y = alpha_dropout(torch.ones(n), p, generator=generator(4))
    assert len(y.unique()) == 2
    dropped = int((y < y.mean()).sum())
    assert abs((dropped - n * p) / math.sqrt(n * p * (1 - p))) < LIMIT


@pytest.mark.parametrize("p", [0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("law", ["normal", "uniform", "coin"])
def test_alpha_keeps_mean_and_variance(p, law):
    """Exactly over the coins for any standardised sample, of whatever law; and in a drawn sample within its error."""
    n = 400_000
    x = {
        "normal": random(n, seed=5),
        "uniform": torch.rand(n, dtype=torch.float64, generator=generator(5)) - 0.5,
        "coin": (torch.rand(n, dtype=torch.float64, generator=generator(5)) < 0.5).double(),
    }[law]
    x = (x - x.mean()) / x.std(correction=0)
    a, b = line(p)
    kept, dropped = a * x + b, b - a * A
    mean = (1 - p) * kept.mean() + p * dropped
    second = (1 - p) * kept.square().mean() + p * dropped**2
    assert float(mean) == pytest.approx(0, abs=1e-9) and float(second) == pytest.approx(1, abs=1e-9)
    y = alpha_dropout(x, p, generator=generator(6))
    assert abs(float(y.mean())) < LIMIT / math.sqrt(n)
    error = float(y.square().std()) / math.sqrt(n)
    assert abs(float(y.square().mean()) - 1) < LIMIT * error


def test_moments_through_a_selu_network():
    """Eight SELU layers of LeCun-normal weights: with alpha dropout the moments stay, with dropout they do not."""
    width, depth, p = 400, 8, 0.2
    x = random(2000, width, dtype=torch.float32, seed=7)
    moments = {}
    for name, layer in (("alpha", alpha_dropout), ("none", lambda h, *_, **__: h), ("dropout", dropout)):
        h, source = x, generator(8)
        weights = generator(9)
        for _ in range(depth):
            w = torch.randn(width, width, generator=weights) / math.sqrt(width)
            h = layer(F.selu(h @ w.T), p, generator=source)
        moments[name] = float(h.mean()), float(h.var())
    assert abs(moments["alpha"][0]) < 0.05 and abs(moments["alpha"][1] - 1) < 0.1
    assert abs(moments["none"][0]) < 0.05 and abs(moments["none"][1] - 1) < 0.1
    assert abs(moments["dropout"][0]) > 0.1 or moments["dropout"][1] > 1.2


# --- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("p", [0.3, torch.tensor(0.3, dtype=torch.float64), torch.full((1, 1), 0.3)])
def test_gradcheck_with_fixed_noise(function, shape, p):
    x = random(*shape).requires_grad_()
    fixed = lambda x: function(x, p, generator=generator())  # noqa: E731
    assert torch.autograd.gradcheck(fixed, x, fast_mode=True, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda x: fixed(x) ** 2, x, fast_mode=True)


@pytest.mark.parametrize("shape", SIZES)
def test_gradient_of_alpha_is_the_mask_times_a(shape):
    x, upstream = random(*shape).requires_grad_(), random(*shape, seed=2)
    alpha_dropout(x, 0.3, generator=generator()).backward(upstream)
    mask = element_mask(x, 0.3, generator=generator())
    torch.testing.assert_close(x.grad, line(0.3)[0] * mask * upstream)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_the_backward_pass_keeps(shape, dtype):
    """One byte an element for alpha dropout; the normal numbers for Gaussian dropout."""
    for function, size in ((alpha_dropout, 1), (gaussian_dropout, dtype.itemsize)):
        x = random(*shape, dtype=dtype).requires_grad_()
        saved = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=saved: s.append(t.nbytes) or t, lambda t: t):
            function(x, 0.5)
        assert sum(n for n in saved if n > 16) == size * x.numel(), function


# --- dtypes -----------------------------------------------------------------------------------------------------------


def half_a_step(y):
    """Half the distance to the next number of the dtype."""
    info = torch.finfo(y.dtype)
    return info.eps / 2 * 2 ** y.double().abs().clamp(min=info.smallest_normal).log2().floor()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(5, 7), (300, 300)])
@pytest.mark.parametrize("p", [0.1, 0.5, torch.tensor(0.1, dtype=torch.float64), torch.full((1, 1), 0.5)])
def test_sixteen_bits_are_rounded_once(dtype, shape, p):
    """Within half a step of the format, and the error of a computation in float32, of the exact result."""
    x, q = random(*shape, dtype=dtype), float(p)
    y = alpha_dropout(x, p, generator=generator())
    exact = alpha_by_hand(x.double(), element_mask(x, p, generator=generator()), q)
    assert y.dtype == dtype
    assert bool(((y.double() - exact).abs() <= half_a_step(y) + 1e-6).all())
    noise = normal_like(x, generator=generator()).double()
    exact = x.double() * (1 + math.sqrt(q / (1 - q)) * noise)
    y = gaussian_dropout(x, p, generator=generator())
    assert y.dtype == dtype
    rounded_noise = x.double().abs() * half_a_step(noise.to(dtype)) * math.sqrt(q / (1 - q))
    slack = 0 if isinstance(p, float) else rounded_noise  # a tensor of rates multiplies the noise first
    assert bool(((y.double() - exact).abs() <= half_a_step(y) * (1 + 1e-3) + 1e-6 + slack).all())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits_keep_the_moments(dtype):
    """90,000 elements are more than float16 can count."""
    x, n = random(300, 300, dtype=dtype), 90_000
    for function, variance in ((gaussian_dropout, 2.0), (alpha_dropout, 1.0)):
        y = function(x, 0.5, generator=generator(2)).double()
        assert abs(float(y.mean() - x.double().mean() * (function is gaussian_dropout))) < LIMIT * math.sqrt(
            variance / n
        )
        assert abs(float(y.square().mean()) - variance) < LIMIT * float(y.square().std()) / math.sqrt(n)


def test_complex_numbers():
    x = torch.complex(random(30, 30), random(30, 30, seed=2))
    y = gaussian_dropout(x, 0.5, generator=generator())
    torch.testing.assert_close(y, x * (1 + normal_like(x, generator=generator())))
    with pytest.raises(TypeError, match=r"^x must be a real floating-point tensor, got torch\.complex128$"):
        alpha_dropout(x, 0.5)


# --- arguments and modules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("module", "function"), MODULES)
def test_module_is_its_function(module, function):
    x = random(50, 40)
    layer = module(0.3)
    torch.manual_seed(0)
    y = layer(x)
    torch.manual_seed(0)
    assert torch.equal(y, function(x, 0.3)) and "p=0.3" in repr(layer) and module().p == 0.5
    assert layer.eval()(x) is x and not layer.state_dict()


def test_inplace_is_refused_rather_than_ignored():
    """torch's AlphaDropout takes inplace=True and works out of place."""
    x = torch.ones(1000)
    nn.AlphaDropout(0.5, inplace=True)(x)
    assert bool((x == 1).all())
    with pytest.raises(TypeError, match="inplace"):
        AlphaDropout(0.5, inplace=True)
