"""The step that applies a mask: the fast way (integers, from FEW elements on) and the plain way both make a choice."""

import copy
import pickle

import pytest
import torch

from companion.layers import base
from companion.layers.base import MIDDLE, DropoutModule, apply_mask, check_input, inverse, never_drops, rescale
from companion.masks import FEW, bernoulli
from companion.schedules import Ramp

SIZES = [(7, 11), (3, FEW // 4 + 1, 5), (3, MIDDLE // 4 + 1, 5)]
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


# --- masks over rows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "own"),
    [
        ((2, 3, 1, 1), True),
        ((2, 1, 1, 1), True),
        ((2, 3, 4, 1), True),
        ((1, 1, 1, 1), True),  # one coin for everything
        ((2, 3, 4, 5), False),  # each cell has its own
        ((1, 3, 1, 1), False),  # shared by the samples
        ((2, 1, 4, 1), False),
        ((2, 1, 1, 5), False),
        ((3, 1, 1), False),  # fewer axes
        ((5,), False),
    ],
)
def test_which_masks_own_rows(mask, own):
    x = torch.ones(2, 3, 4, 5)
    assert base._owns_rows(torch.ones(mask), x) == own
    assert not base._owns_rows(torch.ones(mask), x.to(memory_format=torch.channels_last))


@pytest.mark.parametrize("narrow", [(6, 5, 1, 1), (6, 1, 1, 1), (1, 5, 1, 1), (6, 1, 3, 1)])
@pytest.mark.parametrize("dropped", [0, 1, 4, 6])
def test_large_inputs_come_to_the_same(monkeypatch, narrow, dropped):
    """Little to erase, much to erase, and masks that own no rows."""
    monkeypatch.setattr(base, "LARGE", 1)
    x, _ = drawn((6, 5, 3 * 4, 3 * FEW // 16 // 15))
    narrow = (*narrow[:2], 12 if narrow[2] > 1 else 1, narrow[3])
    mask = torch.ones(narrow, dtype=torch.uint8)
    mask.view(-1)[torch.randperm(mask.numel(), generator=torch.Generator().manual_seed(1))[:dropped]] = 0
    assert x.numel() >= FEW
    assert torch.equal(apply_mask(x, mask, 2.5), chosen(x, mask.expand(x.shape), 2.5))


# --- while compiling --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "format"), [((2, 3, 4, 5), torch.channels_last), ((2, 3, 4, 5, 6), torch.channels_last_3d)]
)
def test_memory_format_is_kept_while_compiling(shape, format):
    torch._dynamo.reset()
    x, mask = drawn(shape)
    compiled = torch.compile(lambda x, mask: apply_mask(x, mask, 2.0), backend="eager", fullgraph=True)
    y = compiled(x.to(memory_format=format), mask)
    assert torch.equal(y, chosen(x, mask, 2.0)) and y.is_contiguous(memory_format=format)
    assert compiled(x, mask).is_contiguous()
    one = torch.ones(shape[:2] + (1,) * (len(shape) - 2), dtype=torch.uint8)
    assert torch.equal(compiled(x.to(memory_format=format), one), 2 * x)


def test_a_scheduled_rate_is_a_tensor_while_compiling_and_a_number_else():
    class Probe(DropoutModule):
        def forward(self, x):
            rate = self.rate()
            return x * rate if isinstance(rate, torch.Tensor) else x - rate

    probe = Probe(Ramp(0.25, 0.75, 2))
    x = torch.full((3,), 8.0)
    assert probe(x).tolist() == [7.75] * 3
    assert torch.compile(probe, backend="eager", fullgraph=True)(x).tolist() == [2.0] * 3
    assert probe.extra_repr() == "" and DropoutModule(0.3).extra_repr() == "p=0.3"
