"""Dropout in its three schemes: values, expectations, gradients, dtypes, compilation.

What all layers share is tested in test_conventions.py.

Statistical tests use fixed generators and 4.5 standard errors: a right layer fails one comparison with 7e-6.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion import Dropout, NaiveDropout, VanillaDropout, dropout, naive_dropout, vanilla_dropout
from companion.masks import bernoulli, element_mask

LIMIT = 4.5
FUNCTIONS = [naive_dropout, vanilla_dropout, dropout]
MODULES = [(NaiveDropout, naive_dropout), (VanillaDropout, vanilla_dropout), (Dropout, dropout)]
FLOATS = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, dtype=torch.float64, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed)).to(dtype)


def in_training(function, p):
    """The factor on a kept element in training."""
    return 1 / (1 - p) if function is dropout else 1.0


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
def test_training_multiplies_by_the_mask(function, p):
    x = random(50, 40)
    mask = element_mask(x, p, generator=generator())
    y = function(x, p, generator=generator())
    torch.testing.assert_close(y, mask * x * in_training(function, p), rtol=1e-15, atol=0)


@pytest.mark.parametrize(("function", "factor"), [(naive_dropout, 1.0), (vanilla_dropout, 0.7), (dropout, 1.0)])
def test_evaluation(function, factor):
    x = random(5, 4)
    y = function(x, 0.3, training=False)
    torch.testing.assert_close(y, factor * x)
    assert (y is x) == (factor == 1.0)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("training", [True, False])
def test_rate_zero_gives_the_input_object(function, training):
    x = random(5, 4)
    assert function(x, 0.0, training) is x
    assert function(x, 0, training) is x
    torch.testing.assert_close(function(x, torch.tensor(0.0), training), x)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("p", [1.0, 1, torch.tensor(1.0), torch.ones(4)])
def test_rate_one_gives_zeros_with_finite_gradients(function, p):
    x = random(5, 4).requires_grad_()
    y = function(x, p)
    assert bool((y == 0).all())
    y.sum().backward()
    assert bool((x.grad == 0).all())


def test_defaults_are_half_and_training():
    x = torch.ones(1000)
    torch.manual_seed(0)
    y = dropout(x)
    torch.manual_seed(0)
    assert torch.equal(y, dropout(x, 0.5, True))
    assert sorted(y.unique().tolist()) == [0.0, 2.0]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_input_is_not_changed(function):
    x = random(50, 40)
    before = x.clone()
    for training in (True, False):
        function(x, 0.5, training)
    assert torch.equal(x, before)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_expectations_of_the_three_schemes(p):
    """Mean and second moment of a unit of 4.0 over a million coins."""
    n, k = 1_000_000, 1 - p
    x = torch.full((n,), 4.0, dtype=torch.float64)
    for function, mean in ((naive_dropout, 4 * k), (vanilla_dropout, 4 * k), (dropout, 4.0)):
        y = function(x, p, generator=generator(3))
        assert abs(float(y.mean()) - mean) < LIMIT * 4 * in_training(function, p) * math.sqrt(p * k / n)
    second = float((dropout(x, p, generator=generator(3)) ** 2).mean())
    assert abs(second - 16 / k) < LIMIT * 16 / k**2 * math.sqrt(p * k / n)  # not kept: x^2/k instead of x^2


def test_survivors_are_exactly_scaled():
    assert dropout(torch.full((100,), 4.0), 0.5, generator=generator()).unique().tolist() == [0.0, 8.0]
    assert dropout(torch.full((100,), 4.0), 0.2, generator=generator()).unique().tolist() == [0.0, 5.0]
    assert dropout(torch.full((100,), 4.0), 0.75, generator=generator()).unique().tolist() == [0.0, 16.0]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_one_rate_a_model(function):
    p = torch.tensor([0.0, 0.3, 1.0]).view(3, 1, 1)
    x = torch.ones(3, 200, 300)
    y = function(x, p, generator=generator())
    assert bool((y[0] == 1).all()) and bool((y[2] == 0).all())
    dropped = int((y[1] == 0).sum())
    assert abs((dropped - 18_000) / math.sqrt(60_000 * 0.21)) < LIMIT
    torch.testing.assert_close(y[1].max().item(), in_training(function, 0.3), rtol=1e-6, atol=0)
    if function is vanilla_dropout:
        torch.testing.assert_close(function(x, p, False)[:, 0, 0], torch.tensor([1.0, 0.7, 0.0]))


def test_infinity_in_a_kept_place_stays():
    x = torch.full((100,), math.inf)
    mask = element_mask(x, 0.5, generator=generator())
    y = dropout(x, 0.5, generator=generator())
    assert bool((y[mask.bool()] == math.inf).all())


# --- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("p", [0.2, 0.5, torch.tensor(0.8, dtype=torch.float64)])
def test_gradient_is_the_mask_with_its_scale(function, p):
    x = random(50, 40).requires_grad_()
    upstream = random(50, 40, seed=2)
    function(x, p, generator=generator()).backward(upstream)
    mask = element_mask(x, p, generator=generator())
    torch.testing.assert_close(x.grad, mask * upstream * in_training(function, float(p)), rtol=1e-14, atol=0)


def test_gradient_at_evaluation():
    for function, factor in ((naive_dropout, 1.0), (vanilla_dropout, 0.3), (dropout, 1.0)):
        x = random(5, 4).requires_grad_()
        function(x, 0.7, training=False).sum().backward()
        torch.testing.assert_close(x.grad, torch.full_like(x, factor))


# --- dtype and memory -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("p", [0.3, torch.tensor(0.3, dtype=torch.float64), torch.full((300,), 0.3)])
def test_dtype_is_kept_and_the_scale_is_exact(function, dtype, p):
    """90,000 elements are more than float16 can count; the scale must be right to the last bit of the format."""
    x = torch.ones(300, 300, dtype=dtype)
    y = function(x, p, generator=generator())
    assert y.dtype == dtype and y.shape == x.shape
    kept = y[y != 0].unique()
    expected = torch.tensor([in_training(function, 0.3)], dtype=torch.float64).to(dtype)
    # A rate held in float32 is itself off by 1e-8; that is below the last bit of the 16-bit formats.
    torch.testing.assert_close(kept, expected, rtol=0 if isinstance(p, float) else 2e-7, atol=0)
    share = (y != 0).double().mean().item()
    assert abs(share - 0.7) < LIMIT * math.sqrt(0.21 / 90_000)
    evaluated = function(x, p, training=False)
    assert evaluated.dtype == dtype


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("p", [0.3, torch.tensor(0.3, dtype=torch.float64), torch.full((300,), 0.3)])
def test_sixteen_bits_are_rounded_once(dtype, p):
    """The scale is not rounded to 16 bits before the product: that would move the mean by up to 0.2 %."""
    x = random(100, 300, dtype=dtype)
    mask = element_mask(x, p, generator=generator())
    y = dropout(x, p, generator=generator())
    torch.testing.assert_close(y, (x.float() * mask / 0.7).to(dtype), rtol=0, atol=0)
    evaluated = vanilla_dropout(x, p, training=False)
    torch.testing.assert_close(evaluated, (x.float() * 0.7).to(dtype), rtol=0, atol=0)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_complex_numbers(function):
    x = torch.complex(random(30, 30), random(30, 30, seed=2))
    y = function(x, 0.5, generator=generator())
    mask = element_mask(x, 0.5, generator=generator())
    torch.testing.assert_close(y, mask * x * in_training(function, 0.5))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("p", [0.5, torch.tensor(0.5)])
def test_channels_last_is_kept(function, p):
    x = torch.randn(2, 3, 8, 8, generator=generator()).to(memory_format=torch.channels_last)
    for training in (True, False):
        assert function(x, p, training).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_layout_does_not_change_the_mask(function):
    """A transposed or strided input gets the mask of its shape, not of its memory."""
    x = random(40, 30)
    y = function(x, 0.5, generator=generator())
    torch.testing.assert_close(function(x.t().contiguous().t(), 0.5, generator=generator()), y)
    wide = torch.zeros(40, 60, dtype=torch.float64)
    wide[:, ::2] = x
    torch.testing.assert_close(function(wide[:, ::2], 0.5, generator=generator()), y)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (2, 3, 4, 5, 6)])
def test_any_shape(shape):
    for function in FUNCTIONS:
        assert function(torch.ones(shape), 0.5).shape == shape


def test_backward_keeps_one_byte_an_element():
    x = random(100, 100, dtype=torch.float32).requires_grad_()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        dropout(x, 0.5)
    # The product keeps its other factor only where a gradient flows: the mask, not the input.
    assert sum(t.numel() * t.element_size() for t in saved) <= x.numel()


# --- randomness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_seeds(function):
    x = torch.ones(1000)
    torch.manual_seed(5)
    first, second = function(x, 0.5), function(x, 0.5)
    torch.manual_seed(5)
    assert torch.equal(function(x, 0.5), first)
    assert not torch.equal(first, second)
    before = torch.get_rng_state()
    assert torch.equal(function(x, 0.5, generator=generator(5)), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_golden_output():
    """A seed gives this output on every processor."""
    y = dropout(torch.arange(1.0, 13.0), 0.5, generator=generator(0))
    mask = bernoulli((12,), 0.5, generator=generator(0)).tolist()
    assert mask == [1, 1, 0, 1, 1, 1, 0, 0, 1, 0, 0, 0]
    assert y.tolist() == [2.0 * (i + 1) * m for i, m in enumerate(mask)]


# --- modules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("module", "function"), MODULES)
def test_module_is_its_function(module, function):
    x = random(50, 40)
    layer = module(0.3)
    torch.manual_seed(0)
    y = layer(x)
    torch.manual_seed(0)
    assert torch.equal(y, function(x, 0.3))
    torch.testing.assert_close(layer.eval()(x), function(x, 0.3, training=False))
    assert layer.train().training and "p=0.3" in repr(layer)
    assert module().p == 0.5


def test_inverted_module_is_a_drop_in():
    """The same rate, scale and modes as torch.nn.Dropout; only the stream of random numbers differs."""
    x = torch.ones(400, 500)
    ours, theirs = Dropout(0.3), nn.Dropout(0.3)
    for layer in (ours, theirs):
        torch.manual_seed(0)
        y = layer(x)
        assert abs((int((y == 0).sum()) - 60_000) / math.sqrt(200_000 * 0.21)) < LIMIT
        torch.testing.assert_close(y.max().item(), 1 / 0.7, rtol=1e-6, atol=0)
        assert layer.eval()(x) is x


# --- what torch puts around a layer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_vmap(function):
    x = torch.ones(50, 400)
    different = torch.func.vmap(lambda x: function(x, 0.5), randomness="different")(x)
    assert different.shape == x.shape and len({tuple(row.tolist()) for row in different}) == 50
    assert abs((int((different == 0).sum()) - 10_000) / math.sqrt(20_000 * 0.25)) < LIMIT
    same = torch.func.vmap(lambda x: function(x, 0.5), randomness="same")(x)
    assert len({tuple(row.tolist()) for row in same}) == 1
    with pytest.raises(RuntimeError, match="randomness"):
        torch.func.vmap(lambda x: function(x, 0.5))(x)
    # One rate an example, and the batch on another axis.
    rates = torch.tensor([0.0, 0.5, 1.0])
    y = torch.func.vmap(lambda x, p: function(x, p), in_dims=(1, 0), randomness="different")(torch.ones(400, 3), rates)
    assert (
        y.shape == (3, 400) and bool((y[0] == 1).all()) and bool((y[2] == 0).all()) and 0 < int((y[1] == 0).sum()) < 400
    )
    per_example = torch.func.vmap(torch.func.grad(lambda x: function(x, 0.5).sum()), randomness="different")(x)
    assert sorted(per_example.unique().tolist()) == [0.0, in_training(function, 0.5)]


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize(("module", "_"), MODULES)
def test_compiled_equals_eager(module, _, backend):
    """One graph without breaks, the same mask forward and backward, and two draws that stay two draws."""
    torch._dynamo.reset()
    net = nn.Sequential(nn.Linear(40, 50), module(0.3), nn.ReLU(), module(0.3)).double()
    compiled = torch.compile(net, fullgraph=True, backend=backend)
    x = random(30, 40)
    results = []
    for run in (net, compiled):
        leaf = x.clone().requires_grad_()
        torch.manual_seed(0)
        y = run(leaf)
        again = run(leaf)
        y.square().sum().backward()
        assert not torch.equal(y == 0, again == 0)
        results.append((y.detach(), again.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1])
    net.eval()
    torch.testing.assert_close(compiled(x), net(x))


@pytest.mark.parametrize("backend", ["aot_eager", "aot_eager_decomp_partition"])
def test_compiled_draws_are_neither_merged_nor_repeated(backend):
    """Two calls with the same arguments are two draws, also where the compiler merges equal expressions."""
    torch._dynamo.reset()

    def twice(x):
        return dropout(x, 0.5), dropout(x, 0.5)

    compiled = torch.compile(twice, fullgraph=True, backend=backend)
    results = []
    for run in (twice, compiled):
        leaf = random(30, 40).requires_grad_()
        torch.manual_seed(0)
        first, second = run(leaf)
        assert not torch.equal(first, second)
        (first.sum() + 3 * second.sum()).backward()  # a draw repeated in the backward pass would give another gradient
        results.append((first.detach(), second.detach(), leaf.grad))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_compiled_with_a_rate_tensor(function):
    torch._dynamo.reset()
    compiled = torch.compile(lambda x, p: function(x, p), fullgraph=True, backend="aot_eager")
    x = random(30, 40)
    for rate in (0.0, 0.3, 1.0):
        p = torch.tensor(rate)
        torch.manual_seed(0)
        y = compiled(x, p)
        torch.manual_seed(0)
        torch.testing.assert_close(y, function(x, p))
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\]"):
        compiled(x, torch.tensor(1.3))


class OnGpu(torch.Tensor):
    """Says that it lies on a GPU."""

    is_cuda, is_cpu = property(lambda self: True), property(lambda self: False)


@pytest.mark.parametrize("p", [0.3, 0.8])
def test_on_a_gpu_it_is_the_fused_kernel_of_torch_unless_a_generator_is_given(p):
    x = random(50, 40)
    there = x.as_subclass(OnGpu)
    torch.manual_seed(0)
    y = dropout(there, p)
    torch.manual_seed(0)
    assert torch.equal(y, F.dropout(x, p)) and not torch.equal(y, dropout(x, p))
    for rate in (p, torch.tensor(p, dtype=torch.float64)):
        assert torch.equal(dropout(there, rate, generator=generator()), dropout(x, p, generator=generator()))
