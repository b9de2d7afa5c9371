"""DropConnect: the formula, exact moments by enumeration of all masks, both ways of inference, and the modules.

Statistical tests use fixed generators and 4.5 standard errors: a right layer fails one comparison with 7e-6. There are
some 70 comparisons, so a right file fails with 5e-4, for one fixed draw of the generators.
"""

import copy
import io
import itertools
import math
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion import DropConnectConv2d, DropConnectLinear, drop_connect_conv2d, drop_connect_linear, dropout
from companion.layers.dropconnect import expected_relu, gaussian_mean, gaussian_moments, gaussian_moments_conv2d
from companion.masks import FEW, weight_mask

LIMIT = 4.5
CONVOLUTIONS = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)},
    {"groups": 2, "padding": "same"},
    {"groups": 4, "padding": "valid"},
]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, dtype=torch.float64, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed)).to(dtype)


def all_masks(shape):
    """Every mask of the shape, and how many weights it keeps: (2^n, *shape) and (2^n,)."""
    n = math.prod(shape)
    masks = torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)), dtype=torch.float64)
    return masks.view(-1, *shape), masks.sum(1)


def probability(kept, n, p):
    return (1 - p) ** kept * p ** (n - kept)


# --- the formula ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(3, 4), (120, 90)])
@pytest.mark.parametrize("leading", [(), (5,), (2, 3), (2, 3, 4)])
@pytest.mark.parametrize("p", [0.2, 0.5, torch.tensor(0.8, dtype=torch.float64)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_linear_with_one_mask_for_the_batch(size, leading, p, with_bias):
    weight, bias, x = random(*size), random(size[0], seed=2) if with_bias else None, random(*leading, size[1], seed=3)
    y = drop_connect_linear(x, weight, bias, p, generator=generator())
    mask = weight_mask(weight, p, generator=generator())
    torch.testing.assert_close(y, F.linear(x, mask * weight / (1 - float(p)), bias))


@pytest.mark.parametrize("leading", [(5,), (2, 3), (2, 3, 4), (1,), (400,)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_linear_with_a_mask_for_each_example(leading, with_bias):
    """One example at a time, each with its own masked weights."""
    weight, bias, x = random(6, 7), random(6, seed=2) if with_bias else None, random(*leading, 7, seed=3)
    y = drop_connect_linear(x, weight, bias, 0.3, per_example=True, generator=generator())
    masks = weight_mask(weight, 0.3, examples=leading[0], generator=generator())
    by_hand = [F.linear(example, mask * weight / 0.7, bias) for example, mask in zip(x, masks, strict=True)]
    torch.testing.assert_close(y, torch.stack(by_hand))


@pytest.mark.parametrize("options", CONVOLUTIONS)
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("per_example", [True, False])
def test_convolution(options, with_bias, per_example):
    weight = random(8, 4 // options.get("groups", 1), 3, 2)
    bias, x = random(8, seed=2) if with_bias else None, random(3, 4, 9, 8, seed=3)
    y = drop_connect_conv2d(x, weight, bias, 0.3, per_example=per_example, generator=generator(), **options)
    masks = weight_mask(weight, 0.3, examples=3 if per_example else None, generator=generator())
    masks = masks if per_example else masks.expand(3, *weight.shape)
    by_hand = [F.conv2d(x[i : i + 1], masks[i] * weight / 0.7, bias, **options) for i in range(3)]
    torch.testing.assert_close(y, torch.cat(by_hand))
    if not per_example:
        alone = drop_connect_conv2d(x[0], weight, bias, 0.3, generator=generator(), **options)
        torch.testing.assert_close(alone, y[0])


@pytest.mark.parametrize(("training", "p"), [(False, 0.5), (True, 0.0), (False, 1.0)])
@pytest.mark.parametrize("per_example", [True, False])
def test_without_dropping_it_is_the_plain_layer(training, p, per_example):
    weight, bias, x = random(3, 4), random(3, seed=2), random(5, 4, seed=3)
    assert torch.equal(drop_connect_linear(x, weight, bias, p, training, per_example), F.linear(x, weight, bias))
    weight, x = random(3, 2, 3, 3), random(5, 2, 6, 6, seed=3)
    assert torch.equal(drop_connect_conv2d(x, weight, bias, p, training, per_example), F.conv2d(x, weight, bias))


@pytest.mark.parametrize("per_example", [True, False])
@pytest.mark.parametrize("p", [1.0, torch.tensor(1.0)])
def test_at_rate_one_the_bias_is_left(per_example, p):
    """The bias is not dropped and not scaled."""
    weight, bias, x = (t.requires_grad_() for t in (random(3, 4), random(3, seed=2), random(5, 4, seed=3)))
    y = drop_connect_linear(x, weight, bias, p, per_example=per_example)
    assert torch.equal(y, bias.expand(5, 3))
    y.sum().backward()
    assert bool((x.grad == 0).all()) and bool((weight.grad == 0).all()) and bool((bias.grad == 5).all())
    kernel, x = random(3, 2, 3, 3), random(5, 2, 6, 6, seed=3)
    y = drop_connect_conv2d(x, kernel, bias, p, per_example=per_example)
    assert torch.equal(y, bias[:, None, None].expand(5, 3, 4, 4))


@pytest.mark.parametrize("size", [(3, 4), (120, 90)])
def test_an_infinite_weight_that_is_dropped_carries_nothing(size):
    weight = torch.full(size, math.inf)
    for p, per_example in ((1.0, False), (1.0, True), (torch.tensor(1.0), False)):
        y = drop_connect_linear(torch.ones(2, size[1]), weight, None, p, per_example=per_example)
        assert bool((y == 0).all())


def test_an_empty_batch():
    weight, kernel = random(3, 4), random(3, 2, 3, 3)
    for per_example in (True, False):
        assert drop_connect_linear(random(0, 4), weight, per_example=per_example).shape == (0, 3)
        assert drop_connect_linear(random(2, 0, 4), weight, per_example=per_example).shape == (2, 0, 3)
        assert drop_connect_conv2d(random(0, 2, 6, 6), kernel, per_example=per_example).shape == (0, 3, 4, 4)


@pytest.mark.parametrize("per_example", [True, False])
def test_gradcheck_with_a_fixed_mask(per_example):
    weight, bias, x = (t.requires_grad_() for t in (random(3, 4), random(3, seed=2), random(5, 4, seed=3)))
    fixed = lambda x, w, b: drop_connect_linear(x, w, b, 0.4, True, per_example, generator=generator())  # noqa: E731
    assert torch.autograd.gradcheck(fixed, (x, weight, bias))
    assert torch.autograd.gradgradcheck(fixed, (x, weight, bias), fast_mode=True)
    weight, x = random(4, 1, 2, 2).requires_grad_(), random(2, 2, 4, 3, seed=3).requires_grad_()
    fixed = lambda x, w: drop_connect_conv2d(x, w, None, 0.4, True, per_example, groups=2, generator=generator())  # noqa: E731
    assert torch.autograd.gradcheck(fixed, (x, weight))


@pytest.mark.parametrize("per_example", [True, False])
def test_autocast(per_example):
    """As of the plain layers, all of the output is in the lower precision."""
    weight, bias, x = (t.float() for t in (random(3, 4), random(3, seed=2), random(5, 4, seed=3)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert drop_connect_linear(x, weight, bias, 0.5, per_example=per_example).dtype == torch.bfloat16
        kernel, maps = random(3, 2, 3, 3).float(), random(5, 2, 6, 6).float()
        assert drop_connect_conv2d(maps, kernel, bias, 0.5, per_example=per_example).dtype == torch.bfloat16
        assert gaussian_moments(x, weight, bias, 0.5)[1].dtype == torch.float32


# --- randomness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("per_example", [True, False])
def test_realised_rate_over_weights(p, per_example):
    """With the identity for the input and ones for the weights the output shows the masks."""
    x = torch.eye(40) if not per_example else torch.eye(40).expand(30, 40, 40)
    y = drop_connect_linear(x, torch.ones(300, 40), None, p, per_example=per_example, generator=generator(2))
    n, dropped = y.numel(), int((y == 0).sum())
    assert abs((dropped - n * p) / math.sqrt(n * p * (1 - p))) < LIMIT


@pytest.mark.parametrize("per_example", [True, False])
def test_what_shares_a_mask(per_example):
    """Equal examples give equal outputs when the mask is the batch's, and independent ones when each has its own."""
    weight, n = random(30, 40), 2000
    y = drop_connect_linear(
        random(1, 40, seed=2).expand(n, 40), weight, None, 0.5, True, per_example, generator=generator(3)
    )
    if not per_example:
        assert torch.equal(y, y[:1].expand_as(y))
        return
    assert len({tuple(row) for row in y.tolist()}) == n
    centred = (y - y.mean(0)) / y.std(0)
    assert abs(float((centred[1:] * centred[:-1]).sum()) / math.sqrt(30 * n)) < LIMIT


def test_units_are_uncorrelated_where_dropout_of_inputs_correlates_them():
    """Means 2 and 3 and variances 6.5 and 4.25 times 4 (inverted) either way; covariance 0, not -3.75 times 4."""
    weight, v, n = (
        torch.tensor([[1.0, 2, -1], [2, -1, 1]], dtype=torch.float64),
        torch.tensor([1.0, 2, 3]).double(),
        200_000,
    )
    x = v.expand(n, 3)
    wires = drop_connect_linear(x, weight, None, 0.5, per_example=True, generator=generator(4))
    units = F.linear(dropout(x, 0.5, generator=generator(4)), weight)
    for y, covariance in ((wires, 0.0), (units, -15.0)):
        found = y.T.cov()
        assert torch.allclose(y.mean(0), torch.tensor([2.0, 3.0]).double(), atol=LIMIT * math.sqrt(26 / n), rtol=0)
        error = torch.tensor([[26.0**2, 26 * 17], [26 * 17, 17.0**2]]).double().mul(2 / n).sqrt()
        exact = torch.tensor([[26.0, covariance], [covariance, 17.0]]).double()
        assert bool(((found - exact).abs() < LIMIT * error).all())


@pytest.mark.parametrize("per_example", [True, False])
def test_seeds(per_example):
    weight, x = random(30, 40), random(5, 40, seed=2)
    draw = lambda g=None: drop_connect_linear(x, weight, None, 0.5, True, per_example, generator=g)  # noqa: E731
    torch.manual_seed(5)
    first, second = draw(), draw()
    assert not torch.equal(first, second)
    before = torch.get_rng_state()
    assert torch.equal(draw(generator(5)), first) and torch.equal(torch.get_rng_state(), before)


# --- moments: against every mask --------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8, torch.tensor(0.3, dtype=torch.float64)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_moments_of_linear_by_enumeration(p, with_bias):
    weight, bias, x = random(3, 4), random(3, seed=2) if with_bias else None, random(5, 4, seed=3)
    masks, kept = all_masks((3, 4))
    chance = probability(kept, 12, float(p))
    outputs = torch.einsum("moi,ni->mno", masks * weight / (1 - float(p)), x) + (0 if bias is None else bias)
    mean = torch.einsum("m,mno->no", chance, outputs)
    variance = torch.einsum("m,mno->no", chance, (outputs - mean) ** 2)
    found = gaussian_moments(x, weight, bias, p)
    torch.testing.assert_close(found[0], mean)
    torch.testing.assert_close(found[1], variance)


@pytest.mark.parametrize("p", [0.2, 0.5])
@pytest.mark.parametrize("options", [{}, {"padding": 1, "stride": 2}, {"groups": 2, "padding": "same"}])
def test_moments_of_convolution_by_enumeration(p, options):
    weight = random(2, 2 // options.get("groups", 1), 1, 2)
    x, bias = random(2, 2, 4, 3, seed=3), random(2, seed=2)
    masks, kept = all_masks(weight.shape)
    every = [F.conv2d(x, mask * weight / (1 - p), bias, **options) for mask in masks]
    chance = probability(kept, weight.numel(), p)
    outputs = torch.stack(every).flatten(1)
    mean = chance @ outputs
    variance = chance @ (outputs - mean) ** 2
    found = gaussian_moments_conv2d(x, weight, bias, p, **options)
    torch.testing.assert_close(found[0].flatten(), mean)
    torch.testing.assert_close(found[1].flatten(), variance)


def test_moments_of_the_paper_without_the_scale():
    """(1-p) W x and p (1-p) (W*W)(x*x): those of here times 1-p and its square."""
    weight, x, p = random(3, 4), random(5, 4, seed=3), 0.3
    mean, variance = gaussian_moments(x, weight, None, p)
    torch.testing.assert_close((1 - p) * mean, (1 - p) * F.linear(x, weight))
    torch.testing.assert_close((1 - p) ** 2 * variance, p * (1 - p) * F.linear(x**2, weight**2))


def test_moments_by_monte_carlo():
    weight, bias, x, n, p = random(8, 30), random(8, seed=2), random(30, seed=3), 100_000, 0.4
    y = drop_connect_linear(x.expand(n, 30), weight, bias, p, per_example=True, generator=generator(5))
    mean, variance = gaussian_moments(x, weight, bias, p)
    assert bool(((y.mean(0) - mean).abs() < LIMIT * (variance / n).sqrt()).all())
    error = ((y - mean) ** 2).std(0) / math.sqrt(n)
    assert bool(((y.var(0) - variance).abs() < LIMIT * error).all())


@pytest.mark.parametrize("p", [0.0, 1.0, torch.tensor(1.0)])
def test_moments_at_the_ends(p):
    weight, bias, x = random(3, 4), random(3, seed=2), random(5, 4, seed=3)
    mean, variance = gaussian_moments(x, weight, bias, p)
    assert torch.equal(mean, F.linear(x, weight, bias)) and bool((variance == 0).all())


def test_squares_do_not_leave_the_range_of_float16():
    x, weight = torch.full((1, 4), 400.0, dtype=torch.float16), torch.full((2, 4), 2.0, dtype=torch.float16)
    mean, variance = gaussian_moments(x, weight, None, 0.5)
    assert mean.dtype == torch.float16 and variance.tolist() == [[2_560_000.0] * 2]
    y = gaussian_mean(mean, variance, torch.relu, 50, generator=generator())
    assert y.dtype == torch.float16 and bool(y.isfinite().all())


# --- inference by Gaussian draws --------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [torch.relu, torch.tanh, torch.square])
def test_gaussian_mean_is_the_expectation(activation):
    """Against the integral over the normal density, within the error of the draws."""
    mean, variance = random(6, seed=2), random(6, seed=3) ** 2
    samples = 20_000
    found = gaussian_mean(mean, variance, activation, samples, generator=generator(6))
    z = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    values = activation(mean[:, None] + variance.sqrt()[:, None] * z)
    exact, second = values @ density, values**2 @ density
    assert bool(((found - exact).abs() < LIMIT * ((second - exact**2) / samples).sqrt()).all())
    if activation is torch.relu:
        torch.testing.assert_close(expected_relu(mean, variance), exact, rtol=1e-6, atol=1e-8)


def test_gaussian_mean_by_hand():
    mean, variance, source = random(3, 4), random(3, 4, seed=2) ** 2, generator(7)
    draws = [mean + variance.sqrt() * torch.randn(3, 4, dtype=torch.float64, generator=source) for _ in range(5)]
    for activation in (torch.relu, lambda u: u.softmax(1)):
        found = gaussian_mean(mean, variance, activation, 5, generator=generator(7))
        torch.testing.assert_close(found, sum(activation(u) for u in draws) / 5)
    torch.testing.assert_close(gaussian_mean(mean, variance, samples=5, generator=generator(7)), sum(draws) / 5)


def test_worked_example_of_an_expected_relu():
    """W = [[1, 2, -1], [2, -1, 1]], v = (1, 2, 3), p = 0.5, without the scale: exact, mean weights, Gaussian."""
    weight, v = torch.tensor([[1.0, 2, -1], [2, -1, 1]], dtype=torch.float64), torch.tensor([1.0, 2, 3]).double()
    masks, _ = all_masks((2, 3))
    exact = torch.relu(torch.einsum("moi,i->mo", masks * weight, v)).mean(0)
    mean, variance = gaussian_moments(v, weight, None, 0.5)
    mean, variance = mean / 2, variance / 4
    assert exact.tolist() == [1.625, 1.75]
    assert torch.relu(mean).tolist() == [1.0, 1.5] and variance.tolist() == [6.5, 4.25]
    assert [round(value, 3) for value in expected_relu(mean, variance).tolist()] == [1.594, 1.781]


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
def test_the_gaussian_way_is_nearer_to_the_mean_over_all_masks(p):
    """12 wires into a ReLU, all 4096 masks of each of 50 units: the plain layer errs several times as much."""
    weight, x = random(50, 12), random(12, seed=2)
    masks, kept = all_masks((12,))
    outputs = torch.relu((masks / (1 - p)) @ (weight * x).T)
    exact = probability(kept, 12, p) @ outputs
    mean, variance = gaussian_moments(x, weight, None, p)
    errors = {
        "mean": torch.relu(mean) - exact,
        "gaussian": expected_relu(mean, variance) - exact,
    }
    assert float(errors["mean"].mean()) < 0  # ReLU of the mean is never above the mean of ReLU
    assert float(errors["gaussian"].square().mean()) < 0.25 * float(errors["mean"].square().mean())


def test_zero_variance_has_finite_gradients():
    """The gradient of a root at zero is infinite, and infinity times the zero behind it would be NaN."""
    mean = torch.tensor([-1.0, 0.0, 2.0, 50.0], requires_grad=True)
    x = torch.zeros(4, requires_grad=True)
    for function in (expected_relu, lambda m, v: gaussian_mean(m, v, torch.relu, 3)):
        y = function(mean, x**2)
        torch.testing.assert_close(y, torch.relu(mean))
        gradients = torch.autograd.grad(y.sum(), (mean, x))
        assert all(bool(g.isfinite().all()) for g in gradients)
    assert gradients[0].tolist()[::2] == [0.0, 1.0]


def test_samples_are_checked():
    for wrong, error in ((0, ValueError), (2.5, TypeError), (True, TypeError)):
        got = r"at least 1, got 0" if error is ValueError else rf"an int, got {type(wrong).__name__}"
        with pytest.raises(error, match=rf"^samples must be {got}$"):
            gaussian_mean(torch.zeros(1), torch.ones(1), torch.relu, wrong)
        with pytest.raises(error, match=r"^samples must be"):
            DropConnectLinear(2, 3, samples=wrong)


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_wrong_arguments_are_named(training):
    weight, kernel = torch.ones(3, 4), torch.ones(3, 2, 3, 3)
    for p in (float("nan"), 1.3, -0.1):
        for call in (lambda p=p: drop_connect_linear(torch.ones(2, 4), weight, None, p, training),
                     lambda p=p: drop_connect_conv2d(torch.ones(2, 2, 5, 5), kernel, None, p, training),
                     lambda p=p: gaussian_moments(torch.ones(2, 4), weight, None, p)):  # fmt: skip
            with pytest.raises(ValueError, match=rf"^p must be in \[0, 1\], got {p}$"):
                call()
    wrong = [
        (
            lambda: drop_connect_linear(torch.ones(2, 5), weight, None, 0.5, training),
            r"^x must have the shape \(\*, 4\)",
        ),
        (lambda: drop_connect_linear(torch.ones(()), weight, None, 0.5, training), r"^x must have the shape \(\*, 4\)"),
        (lambda: drop_connect_linear(torch.ones(4), weight, None, 0.5, training, True), r"^x must have.*\(N, \*, 4\)"),
        (
            lambda: drop_connect_linear(torch.ones(2, 4), torch.ones(4), None, 0.5, training),
            r"^weight must have.*\(O, I\)",
        ),
        (
            lambda: drop_connect_conv2d(torch.ones(2, 5), kernel, None, 0.5, training),
            r"^x must have the shape \(N, C, H, W\) or \(C, H, W\), got",
        ),
        (
            lambda: drop_connect_conv2d(torch.ones(2, 5, 5), kernel, None, 0.5, training, True),
            r"^x must have the shape \(N, C, H, W\) with per_example, got",
        ),
        (lambda: drop_connect_conv2d(torch.ones(1, 2, 5, 5), weight, None, 0.5, training), r"^weight must have.*kW\)"),
    ]
    for call, message in wrong:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match=r"^x must be a floating-point tensor, got torch\.int64$"):
        drop_connect_linear(torch.ones(2, 4, dtype=torch.int64), weight, None, 0.5, training)
    for function in (drop_connect_linear, drop_connect_conv2d, gaussian_moments, gaussian_moments_conv2d):
        with pytest.raises(TypeError, match=r"^weight must be a Tensor, got list$"):
            function(torch.ones(2, 4), [1.0], None, 0.5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_expected_relu_has_the_dtype_of_the_mean(dtype):
    mean, variance = torch.linspace(-2, 2, 9).to(dtype), torch.ones(9)  # a variance may be wider, so as not to overflow
    assert expected_relu(mean, variance).dtype == dtype


def test_defaults():
    x, maps, mean, variance = random(4, 9), random(2, 2, 5, 5), random(4, 3), random(4, 3).square()
    weight, kernel = random(5, 9), random(3, 2, 3, 3)
    torch.testing.assert_close(gaussian_moments(x, weight), gaussian_moments(x, weight, None, 0.5))
    torch.testing.assert_close(gaussian_moments_conv2d(maps, kernel), gaussian_moments_conv2d(maps, kernel, None, 0.5))
    draws = [gaussian_mean(mean, variance, torch.relu, *n, generator=generator()) for n in ((), (100,))]
    assert torch.equal(*draws)
    for layer in (DropConnectLinear(9, 5), DropConnectConv2d(2, 3, 3)):
        assert (layer.p, layer.per_example, layer.inference, layer.samples) == (0.5, False, "mean", 100)
    assert DropConnectConv2d.from_conv(nn.Conv2d(2, 3, 3)).p == 0.5
    assert DropConnectConv2d.from_conv(nn.Conv2d(2, 3, 3), per_example=True).per_example


# --- modules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("per_example", [True, False])
@pytest.mark.parametrize("activation", [None, torch.relu])
def test_modules_are_their_functions(per_example, activation):
    act = activation or (lambda y: y)
    layer = DropConnectLinear(7, 5, p=0.3, per_example=per_example, activation=activation).double()
    conv = DropConnectConv2d(
        4, 6, 3, 2, 1, 1, 2, padding_mode="reflect", p=0.3, per_example=per_example, activation=activation
    ).double()
    x, maps = random(3, 7), random(3, 4, 8, 8)
    padded = F.pad(maps, (1, 1, 1, 1), "reflect")
    torch.manual_seed(0)
    y, z = layer(x), conv(maps)
    torch.manual_seed(0)
    assert torch.equal(y, act(drop_connect_linear(x, layer.weight, layer.bias, 0.3, True, per_example)))
    expected = drop_connect_conv2d(padded, conv.weight, conv.bias, 0.3, True, per_example, stride=2, groups=2)
    assert torch.equal(z, act(expected))
    for module, data in ((layer, x), (conv, maps)):
        module.eval()
        plain = F.linear(x, layer.weight, layer.bias) if module is layer else nn.Conv2d._conv_forward(
            conv, maps, conv.weight, conv.bias
        )  # fmt: skip
        assert torch.equal(module(data), act(plain))
        assert "p=0.3" in repr(module) and f"per_example={per_example}" in repr(module)
    ways = f"p=0.3, per_example={per_example}, inference='mean'"
    assert layer.extra_repr().startswith(f"in_features=7, out_features=5, bias=True, {ways}")
    assert "kernel_size=(3, 3)" in repr(conv) and ways in repr(conv)


def test_drop_ins_for_the_plain_layers():
    """The same arguments, the same parameters under the same names, initialised alike."""
    for ours, theirs, arguments in (
        (DropConnectLinear, nn.Linear, (7, 5, False)),
        (DropConnectConv2d, nn.Conv2d, (4, 6, (3, 2), 2, 1, 1, 2, False, "circular")),
    ):
        torch.manual_seed(0)
        a = ours(*arguments)
        torch.manual_seed(0)
        b = theirs(*arguments, dtype=torch.float32)
        assert isinstance(a, theirs) and a.p == 0.5 and a.bias is None
        assert a.state_dict().keys() == b.state_dict().keys() and torch.equal(a.weight, b.weight)
        a.load_state_dict(b.state_dict())
        assert ours(*arguments, dtype=torch.float64).weight.dtype == torch.float64


def test_made_from_trained_layers_nothing_is_lost():
    """The peer's patch gave new weights, stride 1 for 2, 1 group for 2, and a bias where there was none."""
    linear = nn.Linear(7, 5, bias=False).double()
    conv = nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, dilation=(1, 2), groups=2, bias=False, padding_mode="replicate")
    optimizer = torch.optim.SGD([*linear.parameters(), *conv.parameters()], lr=0.1)
    generator_before = torch.get_rng_state()
    ours = DropConnectLinear.from_linear(linear, 0.2, per_example=True)
    maps = DropConnectConv2d.from_conv(conv.eval(), 0.2, inference="mean")
    assert torch.equal(torch.get_rng_state(), generator_before)
    assert ours.weight is linear.weight and ours.bias is None and maps.weight is conv.weight and maps.bias is None
    assert ours.p == maps.p == 0.2 and ours.per_example and ours.training and not maps.training
    for name in ("stride", "padding", "dilation", "groups", "padding_mode", "kernel_size"):
        assert getattr(maps, name) == getattr(conv, name)
    x = random(3, 4, 9, 8, dtype=torch.float32)
    assert torch.equal(maps(x), conv(x))
    assert torch.equal(ours.eval()(random(3, 7)), linear(random(3, 7)))
    before = linear.weight.clone()
    ours.train()(random(3, 7)).sum().backward()
    optimizer.step()
    assert not torch.equal(ours.weight, before)  # the optimizer of before trains the layer of now
    with_bias = DropConnectLinear.from_linear(nn.Linear(3, 2))
    assert with_bias.bias is not None and with_bias.weight.device.type == "cpu"


@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_module_infers_by_gaussian_draws(kind):
    """In the mean over many evaluations, the exact mean of the activation over all masks, to the Gaussian's error."""
    options = {"p": 0.4, "inference": "gaussian", "activation": torch.relu, "samples": 7}
    if kind == "linear":
        layer, x = DropConnectLinear(9, 5, **options).double().eval(), random(4, 9)
        moments = gaussian_moments(x, layer.weight, layer.bias, 0.4)
    else:
        layer, x = DropConnectConv2d(2, 3, 3, padding=1, groups=1, **options).double().eval(), random(2, 2, 5, 5)
        moments = gaussian_moments_conv2d(x, layer.weight, layer.bias, 0.4, padding=1)
    torch.manual_seed(0)
    y = layer(x)
    torch.manual_seed(0)
    assert torch.equal(y, gaussian_mean(*moments, torch.relu, 7))
    n = 600
    total = sum(layer(x) for _ in range(n)) / n
    assert bool(((total - expected_relu(*moments)).abs() < LIMIT * (moments[1] / (7 * n)).sqrt()).all())
    assert "inference='gaussian', samples=7" in repr(layer)
    layer.p = 0.0
    assert torch.equal(layer(x), torch.relu(moments[0]))
    layer.p, layer.inference = 0.5, "mean"
    assert torch.equal(layer(x), torch.relu(moments[0]))
    with pytest.raises(ValueError, match=r'^inference must be "mean" or "gaussian", got \'exact\'$'):
        DropConnectLinear(3, 2, inference="exact")


def test_padding_takes_part_in_the_moments():
    """A border that repeats the map adds to the variance; zeros add nothing."""
    x = random(1, 2, 5, 5)
    for mode in ("zeros", "circular"):
        layer = (
            DropConnectConv2d(2, 3, 3, padding=1, padding_mode=mode, p=0.5, inference="gaussian", samples=1)
            .double()
            .eval()
        )
        torch.manual_seed(1)
        draws = torch.stack([layer(x) for _ in range(1000)])
        layer.inference = "mean"
        padded = F.pad(x, (1, 1, 1, 1), "constant" if mode == "zeros" else mode)
        variance = F.conv2d(padded**2, layer.weight**2)
        assert bool(((draws.mean(0) - layer(x)).abs() < LIMIT * (variance / 1000).sqrt()).all())
        assert bool(((draws.var(0) / variance - 1).abs() < LIMIT * math.sqrt(2 / 1000)).all())


def test_an_activation_may_be_a_module():
    layer = DropConnectLinear(4, 4, activation=nn.PReLU(), inference="gaussian", samples=3)
    assert set(layer.state_dict()) == {"weight", "bias", "activation.weight"}
    layer.eval()(torch.ones(2, 4)).sum().backward()
    assert layer.weight.grad is not None and bool(layer.weight.grad.isfinite().all())


def test_modules_survive_copying_and_saving():
    for layer, x in (
        (DropConnectLinear(7, 5, p=0.3), torch.ones(2, 7)),
        (DropConnectConv2d(2, 3, 3, p=0.3, inference="gaussian", samples=2), torch.ones(2, 2, 5, 5)),
    ):
        stream = io.BytesIO()
        torch.save(layer.state_dict(), stream)
        stream.seek(0)
        other = type(layer)(*((7, 5) if x.ndim == 2 else (2, 3, 3)), p=0.3, samples=2, inference=layer.inference)
        other.load_state_dict(torch.load(stream))
        for training in (True, False):
            results = []
            for twin in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), other):
                torch.manual_seed(0)
                results.append(twin.train(training)(x))
            assert all(torch.equal(results[0], result) for result in results[1:])


@pytest.mark.parametrize("p", [1.3, math.nan, "0.5"])
def test_modules_check_their_rate_when_made(p):
    for make in (lambda: DropConnectLinear(3, 2, p=p), lambda: DropConnectConv2d(3, 2, 1, p=p)):
        with pytest.raises((ValueError, TypeError), match=r"^p must be"):
            make()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("per_example", [True, False])
def test_compiled_equals_eager(training, per_example):
    torch._dynamo.reset()
    net = nn.Sequential(
        DropConnectConv2d(2, 3, 3, p=0.3, per_example=per_example, activation=torch.relu),
        nn.Flatten(),
        DropConnectLinear(
            27, 4, p=0.3, per_example=per_example, inference="gaussian", samples=3, activation=torch.tanh
        ),
    )
    net.double().train(training)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    x, results = random(4, 2, 5, 5), []
    for run in (net, compiled):
        torch.manual_seed(0)
        leaf = x.clone().requires_grad_()
        y = run(leaf)
        y.square().sum().backward()
        results.append((y.detach(), leaf.grad))
    torch.testing.assert_close(*results)


def test_what_the_backward_pass_keeps():
    """The mask, and the masked weights for the gradient of the input: five bytes a weight in float32."""
    weight, x = torch.ones(100, FEW // 50, requires_grad=True), torch.ones(2, FEW // 50, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.nbytes) or t, lambda t: t):
        drop_connect_linear(x, weight, None, 0.5)
    assert sum(saved) == 5 * weight.numel() + x.nbytes
