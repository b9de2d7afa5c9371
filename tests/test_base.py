"""The step that applies a mask: the fast way (integers, from FEW elements on) and the plain way both make a choice."""

import copy
import pickle

import pytest
import torch

from companion.layers.base import DropoutModule, apply_mask, check_input, inverse, never_drops, rescale
from companion.masks import FEW, bernoulli

SIZES = [(7, 11), (3, FEW // 4 + 1, 5)]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.complex64, torch.complex128]


def drawn(shape, dtype=torch.float64, seed=0):
    source = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, dtype=torch.complex128 if dtype.is_complex else torch.float64, generator=source)
    return x.to(dtype), bernoulli(shape, 0.4, generator=source)


def chosen(x, mask, scale):
    return torch.where(mask.bool(), x * scale, torch.zeros((), dtype=x.dtype))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1.0, 2.5, 0.0])
def test_keeps_and_scales_or_sets_to_zero(shape, dtype, scale):
    x, mask = drawn(shape, dtype)
    before = x.clone()
    y = apply_mask(x, mask, scale)
    assert torch.equal(y, chosen(x, mask, scale)) and y.dtype == dtype
    assert torch.equal(x, before) and y.data_ptr() != x.data_ptr()


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan"), -1.0])
def test_a_dropped_place_is_plus_zero_whatever_stood_there(shape, value):
    _, mask = drawn(shape)
    x = torch.full(shape, value, requires_grad=True)
    y = apply_mask(x, mask, 2.0)
    fallen = mask == 0
    assert bool((y[fallen] == 0).all()) and not bool(y[fallen].signbit().any())
    torch.testing.assert_close(y[~fallen], torch.full_like(y[~fallen], 2 * value), equal_nan=True)
    y.backward(torch.full(shape, value))
    assert bool((x.grad[fallen] == 0).all())


@pytest.mark.parametrize("shape", SIZES)
def test_masks_broadcast(shape):
    x, _ = drawn(shape)
    for axis in range(len(shape)):
        narrow = list(shape)
        narrow[axis] = 1
        mask = bernoulli(narrow, 0.4, generator=torch.Generator().manual_seed(axis))
        assert torch.equal(apply_mask(x, mask, 3.0), chosen(x, mask.expand(shape), 3.0))


@pytest.mark.parametrize("rows", [4, FEW])
def test_any_layout(rows):
    x, mask = drawn((6, rows))
    wide = torch.view_as_complex(torch.randn(rows, 6, 2, generator=torch.Generator().manual_seed(1)))
    for seen in (x.T.contiguous().T, x[:, ::2], x[:1].expand(6, rows), wide.T, wide.T.conj(), wide.T.conj().imag):
        m = mask[:, : seen.shape[1]]
        assert torch.equal(apply_mask(seen, m, 2.0), chosen(seen, m, 2.0))


@pytest.mark.parametrize("format", [torch.channels_last, torch.contiguous_format])
def test_memory_format_is_kept(format):
    for side in (4, 40):
        x, mask = drawn((2, 6, side, side))
        x = x.to(memory_format=format)
        for m in (mask, mask[:, :, :1, :1]):
            assert apply_mask(x, m, 2.0).is_contiguous(memory_format=format)


@pytest.mark.parametrize("shape", [(3, 4), (FEW // 2048, 2048)])
def test_gradients_of_first_and_second_order(shape):
    x, mask = drawn(shape)
    x.requires_grad_()
    checks = {"fast_mode": True, "check_forward_ad": True}
    assert torch.autograd.gradcheck(lambda x: apply_mask(x, mask, 2.5), x, **checks)
    assert torch.autograd.gradgradcheck(lambda x: apply_mask(x, mask, 2.5) ** 2, x, fast_mode=True)


def test_gradient_keeps_one_byte_an_element():
    x, mask = drawn((FEW, 4), torch.float32)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t.nbytes) or t, lambda t: t):
        apply_mask(x.requires_grad_(), mask, 2.0)
    assert sum(saved) == x.numel()


def test_forward_mode_without_a_gradient():
    x, mask = drawn((FEW, 2))
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        tangent = torch.autograd.forward_ad.unpack_dual(apply_mask(dual, mask, 2.0)).tangent
    assert torch.equal(tangent, 2.0 * mask)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_tensor_of_scales_is_rounded_once(dtype):
    x, mask = drawn((5, 100), dtype)
    scales = 1 / (1 - torch.tensor([[0.1], [0.2], [0.3], [0.5], [0.9]], dtype=torch.float64))
    expected = (chosen(x, mask, 1).float() * scales.float()).to(dtype)
    assert torch.equal(apply_mask(x, mask, scales), expected)
    assert torch.equal(rescale(x, scales), (x.float() * scales.float()).to(dtype))
    for row, scale in enumerate(scales.flatten().tolist()):  # and as it is with a number
        assert torch.equal(apply_mask(x[row], mask[row], scale), expected[row])


def test_inverse_of_certain_and_impossible():
    assert inverse(0.75) == 4.0 and inverse(1.0) == 0.0 and inverse(0.0) == 1.0
    assert inverse(torch.tensor([0.0, 0.75, 1.0])).tolist() == [1.0, 4.0, 0.0]


def test_only_the_number_zero_never_drops():
    assert never_drops(0.0) and not never_drops(1e-9) and not never_drops(torch.zeros(()))


@pytest.mark.parametrize("x", [[1.0], torch.ones(3, dtype=torch.int64), torch.ones(3, dtype=torch.bool), None])
def test_a_wrong_input_is_named(x):
    with pytest.raises(TypeError, match="image must be a"):
        check_input(x, "image")


def test_the_shell():
    shell = DropoutModule(0.25)
    assert shell.rate() == 0.25 and "p=0.25" in repr(shell)
    for other in (copy.deepcopy(shell), pickle.loads(pickle.dumps(shell))):
        assert other.p == 0.25
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\], got 1.5"):
        DropoutModule(1.5)
