"""The conventions that every layer keeps, each one test over the whole family of ``family.py``.

What a layer computes is tested beside it; here is what torch and its users do with any layer. Where a GPU is at hand
the same tests run on it too.
"""

import copy
import inspect
import io
import math
import os
import pickle
import re
import shutil
import subprocess
import sys
import warnings

import pytest
import ranks
import torch
from family import FUNCTIONS, MODULES, generator, random
from onnx.reference import ReferenceEvaluator
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch.utils.checkpoint import checkpoint

import companion
from companion.schedules import Ramp

FLOATS = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
CUDA = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"))

# torch's own forward derivatives use its old compiler.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")


def those(registry, holds=lambda entry: True):
    """The test is run for each entry of the registry for which something holds."""
    name = "f" if registry is FUNCTIONS else "module"
    return pytest.mark.parametrize(name, [entry for entry in registry if holds(entry)], ids=str)


functions, modules = those(FUNCTIONS), those(MODULES)
masking_functions = those(FUNCTIONS, lambda f: f.masks)
compiled_functions = those(FUNCTIONS, lambda f: f.compiled)
modes = pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
devices = pytest.mark.parametrize("device", ["cpu", CUDA])


def copies(shape, times=40):
    """The shape with a first axis so long that two draws practically never agree."""
    return (times * shape[0], *shape[1:])


def differ(f, first, second):
    """Two draws must differ, but where one coin decides about everything they may agree."""
    return f.one_coin or not torch.equal(first, second)


# --- the registry -----------------------------------------------------------------------------------------------------


def switched(layer):
    """Whether it is a module, or a function that is told whether it is training."""
    if isinstance(layer, type):
        return issubclass(layer, nn.Module)
    return "training" in inspect.signature(layer).parameters


def public_layers():
    """Names of what companion exports from companion.layers and can be switched on and off."""
    layers = {name: getattr(companion, name) for name in companion.__all__}
    ours = {name for name, layer in layers.items() if layer.__module__.startswith("companion.layers.")}
    return {name for name in ours if switched(layers[name])}


def test_every_public_layer_is_in_the_family():
    registered = [str(entry) for entry in (*FUNCTIONS, *MODULES)]
    assert len(set(registered)) == len(registered)
    assert {entry.name for entry in (*FUNCTIONS, *MODULES)} == public_layers()


@functions
def test_inputs_of_the_family_suit_their_tests(f):
    assert math.prod(f.large) > 65_504
    assert min(f.shape) >= 2  # an axis of length 1 would hide a mask that is shared along it


# --- arguments --------------------------------------------------------------------------------------------------------


@functions
def test_signature(f):
    """f(x, ..., p=0.5, training=True, *, generator=None): dropping is the default, as it is for the modules."""
    parameters = inspect.signature(getattr(companion, f.name)).parameters
    assert parameters["p"].default == f.default and parameters["training"].default is True
    names = list(parameters)
    assert names.index("p") < names.index("training")
    assert parameters["generator"].kind is inspect.Parameter.KEYWORD_ONLY and parameters["generator"].default is None
    assert all(parameter.kind is not inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())


@functions
@modes
@pytest.mark.parametrize("p", [math.nan, 1.3, -0.1, math.inf])
def test_a_rate_out_of_range_is_named(f, training, p):
    with pytest.raises(ValueError, match=rf"^p must be in \[0, 1\], got {p}$"):
        f(random(*f.shape), p, training)


@functions
@modes
@pytest.mark.parametrize("p", ["0.5", True, None, [0.5], 1j])
def test_a_rate_of_a_wrong_type_is_named(f, training, p):
    with pytest.raises(TypeError, match=rf"^p must be a float.*, got {type(p).__name__}$"):
        f(random(*f.shape), p, training)


@functions
def test_a_rate_tensor_that_is_no_rate_is_named(f):
    with pytest.raises(ValueError, match=r"^p must be in \[0, 1\], got"):
        f(random(*f.shape), torch.tensor(1.3))
    with pytest.raises(TypeError, match=r"^p must be a float.*torch\.int64$"):
        f(random(*f.shape), torch.tensor(1))


@functions
@modes
def test_a_wrong_input_is_named(f, training):
    with pytest.raises(TypeError, match=rf"^{f.x} must be a floating-point tensor, got torch\.int64$"):
        f(torch.ones(f.shape, dtype=torch.int64), 0.5, training)
    with pytest.raises(TypeError, match=rf"^{f.x} must be a Tensor, got list$"):
        f([1.0, 2.0], 0.5, training)


@those(FUNCTIONS, lambda f: f.wrong is not None)
@modes
def test_a_wrong_shape_is_named(f, training):
    """Never a silent other meaning: the message gives the expected shape and what came."""
    with pytest.raises(ValueError, match=rf"^{f.x} must have .*got {re.escape(str(f.wrong))}"):
        f(torch.ones(f.wrong), 0.5, training)


@modules
@pytest.mark.parametrize("p", [1.3, -0.1, math.nan, "0.5", None])
def test_a_module_checks_its_rate_when_it_is_made(module, p):
    with pytest.raises(TypeError if isinstance(p, str | None) else ValueError, match=r"^p must be"):
        module(p)


@modules
def test_a_module_shows_its_rate(module):
    assert "p=0.3" in repr(module(0.3))


# --- certain cases ----------------------------------------------------------------------------------------------------


@functions
@devices
@pytest.mark.parametrize(("training", "p"), [(True, 0.0), (True, 0), *((False, p) for p in (0.0, 0, 1e-300, 0.3, 1))])
def test_evaluation_and_rate_zero(f, device, training, p):
    """The input object itself where nothing is computed; no coin is thrown in either case."""
    x = random(*f.shape, device=device)
    source = generator(device=device)
    before = source.get_state()
    y = f(x, p, training, generator=source)
    assert torch.equal(source.get_state(), before)
    if f.evaluated is not None and p > 0:
        torch.testing.assert_close(y, f.evaluated(x, p))
    elif f.clean is not None:
        torch.testing.assert_close(y, f.clean(x))
    else:
        assert y is x


@functions
@devices
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("p", [1.0, 1, torch.tensor(1.0)], ids=["1.0", "1", "tensor"])
def test_rate_one_gives_zeros_with_finite_gradients(f, device, dtype, p):
    for shape in (f.shape, copies(f.shape, 300)):
        x = random(*shape, dtype=dtype, device=device).requires_grad_()
        y = f(x, p)
        gone = f.gone(x)
        torch.testing.assert_close(y, gone)
        assert y.dtype == dtype
        (gradient,) = torch.autograd.grad(y.sum(), x)
        expected = torch.autograd.grad(gone.sum(), x)[0] if gone.requires_grad else torch.zeros_like(x)
        torch.testing.assert_close(gradient, expected)


@functions
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_a_rate_may_be_a_tensor_without_dimensions(f, p):
    x = random(*copies(f.shape))
    y = f(x, torch.tensor(p, dtype=torch.float64), generator=generator())
    torch.testing.assert_close(y, f(x, p, generator=generator()))


# --- dtype, device, memory format -------------------------------------------------------------------------------------


@functions
@modes
@devices
@pytest.mark.parametrize("dtype", FLOATS)
def test_dtype_device_and_shape_are_kept(f, training, device, dtype):
    for shape in (f.shape, f.large):
        x = random(*shape, dtype=dtype, device=device)
        y = f(x, 0.3, training)
        assert (y.dtype, y.device) == (dtype, x.device)
        assert y.shape == (x if f.clean is None else f.clean(x)).shape


@those(FUNCTIONS, lambda f: f.name != "gaussian_dropout")  # whose noise is drawn in the input's dtype
@devices
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits_above_65504_elements(f, device, dtype):
    """The same mask and, to the last bits of the format, the same values as in 64 bits.

    float16 ends at 65,504: a count of elements in the input's dtype is infinite there, and the layer gives zeros.
    """
    x = 1 + random(*f.large, device=device).abs().clamp(max=3)
    wide = f(x.to(dtype).double(), 0.3, generator=generator(device=device))
    narrow = f(x.to(dtype), 0.3, generator=generator(device=device))
    if not f.masks:
        tolerance = 32 * torch.finfo(dtype).eps
        torch.testing.assert_close(narrow.double(), wide, rtol=tolerance, atol=tolerance)
    else:  # one product, rounded once
        assert torch.equal(narrow == 0, wide == 0)
        torch.testing.assert_close(narrow.double(), wide, rtol=torch.finfo(dtype).eps, atol=0)
    assert bool(narrow.isfinite().all())


@those(FUNCTIONS, lambda f: len(f.shape) in (4, 5) and f.clean is None)
@modes
@devices
@pytest.mark.parametrize("large", [False, True])
def test_memory_format_is_kept(f, training, device, large):
    shape = f.large if large else f.shape
    memory_format = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    x = random(*shape, device=device)
    leaf = x.to(memory_format=memory_format).requires_grad_()
    y = f(leaf, 0.3, training, generator=generator(device=device))
    assert y.is_contiguous(memory_format=memory_format)
    assert torch.equal(y, f(x, 0.3, training, generator=generator(device=device)))  # and the mask does not depend on it
    (gradient,) = torch.autograd.grad(y.sum(), leaf)
    assert gradient.shape == x.shape
    assert f(x, 0.3, training).is_contiguous()


@functions
@modes
@pytest.mark.parametrize("large", [False, True])
def test_strides_do_not_matter_and_the_input_is_not_written_to(f, training, large):
    shape = f.large if large else f.shape
    dense = random(*shape)
    views = {
        "transposed": dense.transpose(0, -1).contiguous().transpose(0, -1),
        "every second": random(*shape[:-1], 2 * shape[-1])[..., ::2],
        "with an offset": random(shape[0] + 1, *shape[1:])[1:],
        "expanded": random(1, *shape[1:]).expand(shape),
        "one number": torch.tensor(1.5, dtype=torch.float64).expand(shape),
    }
    for name, x in views.items():
        before = x.clone()
        y = f(x, 0.3, training, generator=generator())
        torch.testing.assert_close(y, f(before, 0.3, training, generator=generator()), rtol=1e-14, atol=1e-14, msg=name)
        assert torch.equal(x, before), name
        if training and f.masks:
            y.zero_()  # nothing of the output may share memory with the input
            assert torch.equal(x, before), name


@functions
def test_the_gradient_of_an_expanded_input_is_summed(f):
    leaf = random(1, *f.shape[1:]).requires_grad_()
    whole = leaf.detach().expand(f.shape).clone().requires_grad_()
    f(leaf.expand(f.shape), 0.3, generator=generator()).sum().backward()
    f(whole, 0.3, generator=generator()).sum().backward()
    torch.testing.assert_close(leaf.grad, whole.grad.sum(0, keepdim=True))


@functions
@modes
@pytest.mark.parametrize("p", [0.3, 1.0])
def test_a_batch_of_zero_examples(f, training, p):
    x = torch.empty(0, *f.shape[1:]).requires_grad_()
    y = f(x, p, training)
    assert y.shape == (x if f.clean is None else f.clean(x)).shape
    y.sum().backward()
    assert x.grad.shape == x.shape


@those(FUNCTIONS, lambda f: f.clean is None)  # else its axes are bound to those of other arguments
@modes
def test_an_empty_axis(f, training):
    for axis in range(len(f.shape)):
        shape = list(f.shape)
        shape[axis] = 0
        x = torch.empty(shape)
        assert f(x, 0.3, training).shape == x.shape


# --- infinity and NaN -------------------------------------------------------------------------------------------------


@masking_functions
@devices
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_dropped_place_is_zero_whatever_stood_there(f, device, bad, dtype):
    """Also its gradient, whatever comes from above. A product with the mask would give NaN."""
    for shape in (copies(f.shape, 4), f.large):
        ones = torch.ones(shape, dtype=dtype, device=device)
        dropped = f(ones, 0.5, generator=generator(device=device)) == 0
        assert bool(dropped.any()) and not bool(dropped.all())
        x = torch.full_like(ones, bad).requires_grad_()
        y = f(x, 0.5, generator=generator(device=device))
        assert bool((y[dropped] == 0).all())
        assert not bool(y[~dropped].isfinite().any())
        y.backward(torch.full_like(y, bad))
        assert bool((x.grad[dropped] == 0).all())
        assert not bool(x.grad[~dropped].isfinite().any())


# --- randomness -------------------------------------------------------------------------------------------------------


@functions
@devices
def test_one_state_gives_one_output(f, device):
    for shape in (copies(f.shape), f.large):
        x = random(*shape, device=device)
        torch.manual_seed(5)
        first, second = f(x, 0.5), f(x, 0.5)
        torch.manual_seed(5)
        assert torch.equal(f(x, 0.5), first)
        assert differ(f, first, second)


@functions
@devices
def test_own_generator(f, device):
    """It is used, it moves on, and the global one is left alone."""
    for shape in (copies(f.shape), f.large):
        x = random(*shape, device=device)
        torch.manual_seed(5)
        before = torch.get_rng_state()
        source = generator(5, device)
        first, second = f(x, 0.5, generator=source), f(x, 0.5, generator=source)
        assert torch.equal(f(x, 0.5, generator=generator(5, device)), first)
        assert differ(f, first, second)
        assert differ(f, f(x, 0.5, generator=generator(6, device)), first)
        assert torch.equal(torch.get_rng_state(), before)


@functions
def test_both_generators_give_one_stream(f):
    """A seed means the same, whether it was given to torch or to a generator of one's own."""
    for shape in (copies(f.shape), f.large):
        x = random(*shape)
        torch.manual_seed(5)
        assert torch.equal(f(x, 0.3), f(x, 0.3, generator=generator(5)))


@functions
def test_the_default_device_does_not_matter(f):
    """What a function makes for itself stands where x stands, not where torch would put new tensors."""
    for shape in (copies(f.shape), f.large):
        x = random(*shape)
        for training in (True, False):
            torch.manual_seed(5)
            expected = f(x, 0.3, training=training)
            torch.manual_seed(5)
            with torch.device("meta"):
                y = f(x, 0.3, training=training)
            assert torch.equal(y, expected)


@functions
def test_threads_do_not_change_the_output(f):
    threads = torch.get_num_threads()
    x = random(*f.large, dtype=torch.float32)
    outputs = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            outputs.append(f(x, 0.3, generator=generator(1)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*outputs)


@masking_functions
def test_the_mask_does_not_depend_on_dtype_or_gradient(f):
    """One seed drops the same places in 16, 32 and 64 bits, and whether or not a gradient is asked for."""
    for shape in (copies(f.shape), f.large):
        x = torch.ones(shape, dtype=torch.float64)
        dropped = f(x, 0.3, generator=generator()) == 0
        for dtype in FLOATS:
            for leaf in (x.to(dtype), x.to(dtype).requires_grad_()):
                assert torch.equal(f(leaf, 0.3, generator=generator()) == 0, dropped)


# --- gradients --------------------------------------------------------------------------------------------------------


@functions
def test_gradcheck_with_a_fixed_mask(f):
    """First and second derivatives, backward and forward, against differences."""
    x = random(*f.shape).requires_grad_()

    def fixed(x):
        return f(x, 0.4, generator=generator())

    assert torch.autograd.gradcheck(fixed, (x,), check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x: fixed(x) ** 2, (x,), fast_mode=True)


@functions
def test_gradcheck_with_a_fixed_mask_in_a_large_input(f):
    """Many elements may go another way than few: the derivatives by three of them."""
    rest = random(*f.large).flatten()[3:]

    def fixed(few):
        y = f(torch.cat([few, rest]).view(f.large), 0.4, generator=generator())
        return torch.stack([y.flatten()[:3].square().sum(), y.sum()])

    few = random(3).requires_grad_()
    assert torch.autograd.gradcheck(fixed, (few,), check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(fixed, (few,), fast_mode=True)


@functions
def test_no_gradient_is_made_where_none_is_asked_for(f):
    for shape in (f.shape, f.large):
        x = random(*shape).requires_grad_()
        assert f(x, 0.3).requires_grad
        for quiet in (torch.no_grad(), torch.inference_mode()):
            with quiet:
                y = f(x, 0.3)
            assert y is x or not y.requires_grad
        assert not f(x.detach(), 0.3).requires_grad


@those(FUNCTIONS, lambda f: f.saved is not None)
def test_bytes_kept_for_the_backward_pass(f):
    x = random(*f.large, dtype=torch.float32).requires_grad_()
    saved = {}

    def pack(t):
        saved[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        y = f(x, 0.3)
    assert sum(saved.values()) <= f.saved * x.numel()
    y.sum().backward()


# --- what torch puts around a layer -----------------------------------------------------------------------------------


@functions
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(f, dtype):
    weight = random(f.shape[-1], f.shape[-1], dtype=torch.float32).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        h = random(*f.shape, dtype=torch.float32) @ weight
        y = f(h, 0.5)
    assert h.dtype == y.dtype == dtype
    y.float().sum().backward()
    assert weight.grad.dtype == torch.float32 and bool(weight.grad.isfinite().all())


@functions
@pytest.mark.parametrize("large", [False, True])
def test_functional_gradient(f, large):
    x = random(*(f.large if large else f.shape))
    torch.manual_seed(0)
    gradient = torch.func.grad(lambda x: f(x, 0.5).square().sum())(x)
    leaf = x.clone().requires_grad_()
    torch.manual_seed(0)
    f(leaf, 0.5).square().sum().backward()
    torch.testing.assert_close(gradient, leaf.grad)


@those(FUNCTIONS, lambda f: f.batched)
def test_vmap(f):
    """A draw for each example, one for all of them, or an error: as the caller says."""
    x = torch.ones(20, *copies(f.shape, 4), dtype=torch.float64)
    different = torch.func.vmap(lambda x: f(x, 0.5), randomness="different")(x)
    rows = {tuple(row.flatten().tolist()) for row in different}
    assert len(rows) == 20 and different[0].shape == f(x[0], 0.5).shape
    same = torch.func.vmap(lambda x: f(x, 0.5), randomness="same")(x)
    assert len({tuple(row.flatten().tolist()) for row in same}) == 1
    with pytest.raises(RuntimeError, match="randomness"):
        torch.func.vmap(lambda x: f(x, 0.5))(x)
    evaluated = torch.func.vmap(lambda x: f(x, 0.5, False))(x)  # which draws nothing
    torch.testing.assert_close(evaluated[0], f(x[0], 0.5, False))


@those(FUNCTIONS, lambda f: f.batched)
def test_vmap_over_any_axis_and_of_gradients(f):
    x = random(*f.shape, 20)
    y = torch.func.vmap(lambda x: f(x, 0.5), in_dims=-1, out_dims=-1, randomness="same")(x)
    torch.testing.assert_close(y.shape[:-1], f(x[..., 0], 0.5).shape)
    gradient = torch.func.grad(lambda x: f(x, 0.5).square().sum())
    each = torch.func.vmap(gradient, in_dims=-1, randomness="different")(x)
    assert each.shape == (20, *f.shape) and bool(each.isfinite().all())


@functions
@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("large", [False, True])
def test_activation_checkpointing_repeats_the_draw(f, reentrant, large):
    x = random(*(f.large if large else f.shape))

    def block(x):
        return f(torch.tanh(x), 0.5) ** 2

    gradients = []
    for run in (block, lambda x: checkpoint(block, x, use_reentrant=reentrant)):
        leaf = x.clone().requires_grad_()
        torch.manual_seed(0)
        run(leaf).sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)


@compiled_functions
def test_compiled_equals_eager(f):
    """One graph without breaks; two draws stay two draws, and none is repeated in the backward pass."""
    torch._dynamo.reset()

    def twice(x):
        return f(x, 0.3), f(x, 0.3)

    compiled = torch.compile(twice, fullgraph=True, backend="aot_eager_decomp_partition")
    results = []
    for run in (twice, compiled):
        leaf = random(*copies(f.shape)).requires_grad_()
        torch.manual_seed(0)
        first, second = run(leaf)
        assert not torch.equal(first, second)
        (first.sum() + 3 * second.square().sum()).backward()
        results.append((first.detach(), second.detach(), leaf.grad))
    torch.testing.assert_close(*results)


@pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="inductor needs a compiler of C++")
def test_inductor_equals_eager():
    """The default compiler, some layers in one graph: it reorders and merges what it may, and the draws stay."""
    torch._dynamo.reset()
    family = [f for f in FUNCTIONS if str(f) in ("dropout", "drop_block 2d", "gaussian_dropout")]

    def side_by_side(*inputs):
        return tuple(f(x, 0.3) for f, x in zip(family, inputs, strict=True))

    compiled = torch.compile(side_by_side, fullgraph=True)
    results = []
    for run in (side_by_side, compiled):
        leaves = [random(*f.shape).requires_grad_() for f in family]
        torch.manual_seed(0)
        outputs = run(*leaves)
        sum(y.square().sum() for y in outputs).backward()
        results.append([t for y, leaf in zip(outputs, leaves, strict=True) for t in (y.detach(), leaf.grad)])
    torch.testing.assert_close(*results)


@compiled_functions
def test_one_compilation_for_many_rates(f):
    torch._dynamo.reset()
    graphs = CompileCounter()
    compiled = torch.compile(lambda x, p: f(x, p), fullgraph=True, backend=graphs)
    x = random(*copies(f.shape))
    for rate in torch.linspace(0, 1, 5, dtype=torch.float64):
        torch.manual_seed(0)
        y = compiled(x, rate)
        torch.manual_seed(0)
        torch.testing.assert_close(y, f(x, rate))
    assert graphs.frame_count == 1


@those(MODULES, lambda module: module.compiled)
def test_a_compiled_module_equals_the_module(module):
    torch._dynamo.reset()
    layer = module(0.3).double()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = module.x(40)
    for mode in (True, False):
        layer.train(mode)
        torch.manual_seed(0)
        y = compiled(x)
        torch.manual_seed(0)
        torch.testing.assert_close(y, layer(x))


def test_ranks_of_data_parallel_training_draw_for_themselves(tmp_path):
    """With a seed of its own each rank drops other units, and the mean of the ranks' gradients reaches all of them."""
    command = [sys.executable, ranks.__file__]
    started = [subprocess.Popen([*command, str(rank), str(tmp_path)]) for rank in range(ranks.RANKS)]
    assert [process.wait(timeout=120) for process in started] == [0] * ranks.RANKS
    masks, gradients = zip(*(torch.load(tmp_path / f"{rank}.pt") for rank in range(ranks.RANKS)), strict=True)
    alone = [ranks.step(ranks.network(), rank) for rank in range(ranks.RANKS)]
    for rank, (mask, _) in enumerate(alone):
        assert torch.equal(masks[rank], mask)
    n = masks[0].numel()
    agreeing = int((masks[0] == masks[1]).sum())  # all of them, if both ranks had one seed
    assert abs(agreeing - n / 2) < 5 * math.sqrt(n / 4)
    torch.testing.assert_close(gradients[0], gradients[1])
    torch.testing.assert_close(gradients[0], (alone[0][1] + alone[1][1]) / 2)


# --- modules ----------------------------------------------------------------------------------------------------------


def tensor_of(y):
    return y[0] if isinstance(y, tuple) else y


def drawn(layer, x):
    torch.manual_seed(0)
    return tensor_of(layer(x))


@modules
def test_the_default_rate(module):
    assert inspect.signature(getattr(companion, module.name)).parameters["p"].default == module.default
    assert type(module()) is getattr(companion, module.name)


@modules
def test_a_module_follows_train_and_eval(module):
    layer = module(0.5).double()
    x = module.x(40)
    assert layer.training
    assert differ(module, tensor_of(layer(x)), tensor_of(layer(x)))
    layer.eval()
    before = torch.get_rng_state()
    assert torch.equal(tensor_of(layer(x)), tensor_of(layer(x)))
    assert torch.equal(torch.get_rng_state(), before)


@modules
def test_a_module_survives_copying_and_saving(module):
    x = module.x(40)
    net = nn.Sequential(module(0.3)).double()
    y = drawn(net, x)
    y.sum()  # copied after a pass in training, when a layer may hold what it drew
    stream = io.BytesIO()
    torch.save(net.state_dict(), stream)
    stream.seek(0)
    other = nn.Sequential(module(0.3)).double()
    other.load_state_dict(torch.load(stream))
    assert {name.removeprefix("0.") for name in net.state_dict()} == set(module.keys)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), other):
        assert torch.equal(drawn(twin, x), y)
        assert torch.equal(drawn(twin.eval(), x), drawn(copy.deepcopy(net).eval(), x))


@modules
def test_a_scheduled_rate_is_saved_with_the_module(module):
    """The step of the schedule belongs to the state of the model, as no peer has it."""
    x = module.x(40)
    layer = module(Ramp(0.1, 0.9, 4)).double()
    twin = module(Ramp(0.1, 0.9, 4)).double()
    before = drawn(layer, x)
    for _ in range(2):
        layer.p.advance()
    assert float(layer.p.p) == 0.5
    y = drawn(layer, x)
    assert differ(module, y, before)
    missing = twin.load_state_dict(layer.state_dict())
    assert not missing.missing_keys and not missing.unexpected_keys
    assert torch.equal(drawn(twin, x), y)


class Side(nn.Module):
    """All modules of the family side by side, each with an input of its own."""

    def __init__(self, layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, *inputs):
        return tuple(tensor_of(layer(x)) for layer, x in zip(self.layers, inputs, strict=True))


def test_evaluated_modules_are_exported_without_a_draw():
    """As a graph of ONNX: nothing random in it, and the reference evaluator of ONNX computes what torch does."""
    net = Side([module(0.3) for module in MODULES]).eval()
    inputs = tuple(module.x(dtype=torch.float32) for module in MODULES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.onnx.export(net, inputs, dynamo=True, verbose=False).model_proto
    kinds = [node.op_type for node in model.graph.node]
    assert {"Mul", "Gemm", "Conv", "Gather", "Tanh"} <= set(kinds)  # it is the graph of these modules
    assert not [kind for kind in kinds if re.search("Dropout|Random|Bernoulli|If|Loop", kind)]
    names = [value.name for value in model.graph.input]
    feed = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
    for module, theirs, ours in zip(MODULES, ReferenceEvaluator(model).run(None, feed), net(*inputs), strict=True):
        torch.testing.assert_close(torch.from_numpy(theirs), ours, rtol=1e-5, atol=1e-6, msg=str(module))
