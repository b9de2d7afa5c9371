"""Spatial dropout: whole channels, each on its own; exactly the shapes that it is for; zeros that are zeros.

Statistical tests use fixed generators and 4.5 standard errors: a right layer fails one comparison with 7e-6. There are
some 60 comparisons, so a right file fails with 4e-4, for one fixed draw of the generators.
"""

import math
import warnings

import pytest
import torch
from torch import nn

from companion import SpatialDropout1d, SpatialDropout2d, SpatialDropout3d, spatial_dropout
from companion.layers import base
from companion.masks import FEW, channel_mask

LIMIT = 4.5
MODULES = [
    (SpatialDropout1d, 3, "N, C, L"),
    (SpatialDropout2d, 4, "N, C, H, W"),
    (SpatialDropout3d, 5, "N, C, D, H, W"),
]
SHAPES = [(6, 5, 7), (6, 5, 3, 4), (6, 5, 3, 2, 4), (6, 5, 2, 3, 2, 2), (12, 40, 30), (12, 40, 6, 5), (12, 40, 5, 3, 2)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, dtype=torch.float64, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed)).to(dtype)


def dropped_channels(y):
    """True for each channel that is zero everywhere; the input must have no zeros."""
    flat = y.flatten(2)
    all_zero, any_zero = (flat == 0).all(-1), (flat == 0).any(-1)
    assert torch.equal(all_zero, any_zero)  # a channel is whole or gone
    return all_zero


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.8, torch.tensor(0.3, dtype=torch.float64)])
def test_a_channel_is_scaled_or_gone(shape, p):
    x = random(*shape)
    mask = channel_mask(x, p, generator=generator())
    assert mask.shape == (*shape[:2], *(1,) * (len(shape) - 2))
    y = spatial_dropout(x, p, generator=generator())
    torch.testing.assert_close(y, mask * x / (1 - float(p)), rtol=1e-15, atol=0)


@pytest.mark.parametrize("training", [True, False])
def test_nothing_to_drop_gives_the_input_object(training):
    x = random(2, 3, 4)
    assert spatial_dropout(x, 0.0, training) is x and spatial_dropout(x, 0.7, False) is x


@pytest.mark.parametrize("shape", [(2, 3, 4), (4, 60, 8, 8)])
@pytest.mark.parametrize("p", [1.0, torch.tensor(1.0)])
def test_rate_one_gives_zeros_with_zero_gradients(shape, p):
    x = random(*shape).requires_grad_()
    y = spatial_dropout(x, p)
    assert bool((y == 0).all())
    y.sum().backward()
    assert bool((x.grad == 0).all())


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("large", [10**9, 1])
@pytest.mark.parametrize("format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_dropped_channel_is_zero_whatever_stood_there(monkeypatch, p, large, format, value):
    """A product with a mask of zeros and ones, which is what the peers compute, makes NaN of infinity."""
    monkeypatch.setattr(base, "LARGE", large)
    x = torch.full((8, 40, 6, 6), value).to(memory_format=format).requires_grad_()
    y = spatial_dropout(x, p, generator=generator())
    fallen = (channel_mask(x, p, generator=generator()) == 0).expand_as(x)
    assert bool((y[fallen] == 0).all()) and not bool((y[~fallen] == 0).any())
    y.backward(torch.full_like(x, value))
    assert bool((x.grad[fallen] == 0).all()) and not bool((x.grad[~fallen] == 0).any())


@pytest.mark.parametrize("p", [0.1, 0.24, 0.26, 0.7])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.complex64])
def test_large_maps_take_another_way_to_the_same_values(monkeypatch, p, dtype):
    """Where few channels fall, everything is scaled and these are erased; the values are the same to the last bit."""
    x = random(10, 60, 5, 7, dtype=dtype)
    before, results = x.clone(), []
    for large in (10**9, 1):
        monkeypatch.setattr(base, "LARGE", large)
        leaf = x.clone().requires_grad_()
        y = spatial_dropout(leaf, p, generator=generator())
        y.backward(random(10, 60, 5, 7, dtype=dtype, seed=2))
        results.append((y.detach(), leaf.grad))
        spatial_dropout(x, p, generator=generator())
        assert torch.equal(x, before)
    for first, second in zip(*results, strict=True):
        assert torch.equal(first, second)


def test_large_maps_as_they_come():
    x = torch.ones(16, 64, 64, 65)
    assert x.numel() > base.LARGE
    for p in (0.1, 0.5):
        y = spatial_dropout(x, p, generator=generator())
        assert torch.equal(y[..., :1, :1] != 0, channel_mask(x, p, generator=generator()).bool())
        assert sorted(y.unique().tolist()) == [0.0, torch.tensor(1 / (1 - p)).item()]


# --- randomness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(400, 500, 2), (100, 2000, 1, 1), (2000, 4, 2, 2), (7, 3001, 1, 2, 1)])
def test_realised_rate_over_channels(p, shape):
    dropped = dropped_channels(spatial_dropout(torch.ones(shape), p, generator=generator(2)))
    n = dropped.numel()
    assert abs((int(dropped.sum()) - n * p) / math.sqrt(n * p * (1 - p))) < LIMIT


@pytest.mark.parametrize("p", [0.3, 0.5])
def test_channels_samples_and_calls_are_independent(p):
    """Correlations of the coins over neighbours; one mask for all samples, or for all channels, would give one."""
    source = generator(3)
    first, second = (
        (dropped_channels(spatial_dropout(torch.ones(600, 500, 2), p, generator=source)).double() - p)
        / math.sqrt(p * (1 - p))
        for _ in range(2)
    )
    pairs = {
        "channels": (first[:, 1:], first[:, :-1]),
        "samples": (first[1:], first[:-1]),
        "diagonal": (first[1:, 1:], first[:-1, :-1]),
        "calls": (first, second),
    }
    for name, (a, b) in pairs.items():
        assert abs(float((a * b).sum()) / math.sqrt(a.numel())) < LIMIT, name


def test_channels_are_dropped_alike():
    """Every channel falls at the rate p over the samples, and every sample loses channels at that rate: chi-squared."""
    p, n, c = 0.2, 3000, 50
    dropped = dropped_channels(spatial_dropout(torch.ones(n, c, 2), p, generator=generator(4))).double()
    for counts, trials in ((dropped.sum(0), n), (dropped.sum(1), c)):
        squares = ((counts - trials * p) ** 2 / (trials * p * (1 - p))).sum()
        assert abs(float(squares - len(counts)) / math.sqrt(2 * len(counts))) < LIMIT


@pytest.mark.parametrize("p", [0.1, 0.3])
def test_mean_and_spread_of_a_channel_mean(p):
    """The mean of a constant map a: kept on average, with the deviation a sqrt(p/k) instead of a sqrt(p/(k HW))."""
    n, a, k = 200_000, 3.0, 1 - p
    means = spatial_dropout(torch.full((n // 100, 100, 3, 3), a, dtype=torch.float64), p, generator=generator(5)).mean(
        (2, 3)
    )
    deviation = a * math.sqrt(p / k)
    assert abs(float(means.mean()) - a) < LIMIT * deviation / math.sqrt(n)
    fourth = (a / k) ** 4 * p * k * (k**3 + p**3)  # of a coin with the values 0 and a/k
    error = math.sqrt((fourth - deviation**4) / n)
    assert abs(float(means.var()) - deviation**2) < LIMIT * error


@pytest.mark.parametrize("shape", [(5, 7, 4), (40, 300, 2, 2)])
def test_seeds(shape):
    x = torch.ones(shape)
    assert math.prod(shape[:2]) < FEW or shape[0] == 40
    torch.manual_seed(5)
    first, second = spatial_dropout(x, 0.5), spatial_dropout(x, 0.5)
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    assert torch.equal(spatial_dropout(x, 0.5), first)
    before = torch.get_rng_state()
    assert torch.equal(spatial_dropout(x, 0.5, generator=generator(5)), first)
    assert torch.equal(torch.get_rng_state(), before)


# --- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("large", [10**9, 1])
@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 4, 700)])
def test_gradcheck_with_a_fixed_mask(monkeypatch, large, shape):
    monkeypatch.setattr(base, "LARGE", large)
    x = random(*shape).requires_grad_()
    fixed = lambda x: spatial_dropout(x, 0.2, generator=generator(1))  # noqa: E731
    assert 0 < int(dropped_channels(fixed(x)).sum()) < math.prod(shape[:2])
    assert torch.autograd.gradcheck(fixed, x, fast_mode=True, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(lambda x: fixed(x) ** 2, x, fast_mode=True)


def test_backward_keeps_one_byte_a_channel():
    x = random(20, 50, 6, 6, dtype=torch.float32).requires_grad_()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.nbytes) or t, lambda t: t):
        spatial_dropout(x, 0.5)
    assert sum(saved) == 20 * 50


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(), (4,), (4, 6)])
def test_too_few_dimensions_are_named(shape, training):
    message = r"^x must have the shape \(N, C, \*spatial\) with 3 or more dimensions, got \(" + ", ".join(
        map(str, shape)
    )
    with pytest.raises(ValueError, match=message):
        spatial_dropout(torch.ones(shape), 0.5, training)


@pytest.mark.parametrize(("module", "axes", "names"), MODULES)
@pytest.mark.parametrize("training", [True, False])
def test_modules_take_their_number_of_axes_only(module, axes, names, training):
    """torch's Dropout2d takes (C, H, W) for (N, C, L) and drops rows; its Dropout1d drops whole samples of (N, F)."""
    layer = module(0.5).train(training)
    assert layer(torch.ones([2] * axes)).shape == (2,) * axes
    for wrong in {1, 2, 3, 4, 5, 6} - {axes}:
        with pytest.raises(ValueError, match=rf"^x must have the shape \({names}\), got \(2,"):
            layer(torch.ones([2] * wrong))
    with pytest.raises(TypeError, match=r"^x must be a Tensor, got list$"):
        layer([1.0])


def test_the_peer_takes_a_map_for_a_sequence():
    """The mistake that the check above prevents, seen in torch: on (C, H, W) it drops rows of the maps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = nn.Dropout2d(0.5)(torch.ones(20, 30, 40))
    assert torch.equal((y == 0).all(-1), (y == 0).any(-1)) and 0 < int((y == 0).all(-1).sum()) < 600


@pytest.mark.parametrize(("module", "axes", "_"), MODULES)
def test_module_is_its_function(module, axes, _):
    x = random(6, 5, *(3,) * (axes - 2))
    layer = module(0.3)
    torch.manual_seed(0)
    y = layer(x)
    torch.manual_seed(0)
    assert torch.equal(y, spatial_dropout(x, 0.3)) and "p=0.3" in repr(layer) and module().p == 0.5
    assert layer.eval()(x) is x and not layer.state_dict()
