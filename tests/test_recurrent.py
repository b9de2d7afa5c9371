"""Locked dropout, weight drop and embedding dropout: values, expectations, gradients, and the mistakes of others.

Statistical tests use fixed generators and 4.5 standard errors: one comparison fails a right layer with 7e-6, and the
fewer than 60 comparisons of this file together with 4e-4.
"""

import copy
import io
import math
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from companion import EmbeddingDropout, LockedDropout, WeightDrop, embedding_dropout, locked_dropout
from companion.masks import step_mask, weight_mask, word_mask
from companion.schedules import Ramp

LIMIT = 4.5


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, dtype=torch.float64, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed)).to(dtype)


def z_score(hits, n, p):
    return (int(hits) - n * p) / math.sqrt(n * p * (1 - p))


# --- locked dropout: values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "axis"), [((6, 7, 5), 1), ((7, 6, 5), 0), ((6, 5, 7), -1), ((6, 7, 5, 4), 1)])
@pytest.mark.parametrize("p", [0.2, 0.5, 0.8, torch.tensor(0.3, dtype=torch.float64)])
def test_locked_multiplies_by_one_mask_for_all_steps(shape, axis, p):
    x = random(*shape)
    mask = step_mask(x, p, axis, generator=generator())
    assert mask.shape[axis] == 1 and 0 < int(mask.sum()) < mask.numel()
    y = locked_dropout(x, p, axis=axis, generator=generator())
    torch.testing.assert_close(y, mask * x / (1 - float(p)), rtol=1e-15, atol=0)


def test_locked_is_batch_first_by_default():
    x = torch.ones(20, 30, 40)
    y = locked_dropout(x, generator=generator())
    assert torch.equal(y, locked_dropout(x, 0.5, True, 1, generator=generator()))
    assert bool((y == y[:, :1]).all())  # the same at every step
    assert len({tuple(row.tolist()) for row in y[:, 0]}) == 20  # another mask for each sequence
    assert LockedDropout().axis == 1


def test_locked_without_a_batch():
    x = torch.ones(30, 400)
    y = locked_dropout(x, 0.5, axis=0, generator=generator())
    assert bool((y == y[:1]).all()) and y[0].unique().tolist() == [0.0, 2.0]
    assert torch.equal(y, locked_dropout(x, 0.5, axis=-2, generator=generator()))
    # The default axis would be the features: an error, not another layer.
    with pytest.raises(ValueError, match=r"^x must have the shape \(N, T, D\).*got \(30, 400\) with axis=1$"):
        locked_dropout(x, 0.5)


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
def test_locked_rate_and_independence(p):
    """Rate; neighbours among features and among sequences; another mask at each call."""
    x = torch.ones(300, 3, 200)
    source = generator(3)
    first, second = (locked_dropout(x, p, generator=source)[:, 0] == 0 for _ in range(2))
    assert abs(z_score(first.sum(), first.numel(), p)) < LIMIT
    for one, other in ((first[:, 1:], first[:, :-1]), (first[1:], first[:-1]), (first, second)):
        assert abs(z_score((one & other).sum(), one.numel(), p * p)) < LIMIT


def test_a_unit_survives_a_sequence_with_the_rate_of_one_coin():
    """Not with (1 - p)^T, as it does when each step has a coin of its own."""
    x = torch.ones(1000, 10, 50)
    whole = (locked_dropout(x, 0.3, generator=generator()) != 0).all(dim=1)
    assert abs(z_score(whole.sum(), 50_000, 0.7)) < LIMIT
    per_step = (torch.rand(x.shape, generator=generator()) > 0.3).all(dim=1)
    assert abs(z_score(per_step.sum(), 50_000, 0.7)) > 100  # 0.028 instead of 0.7


def test_locked_gradient():
    x = random(8, 9, 10).requires_grad_()
    upstream = random(8, 9, 10, seed=2)
    locked_dropout(x, 0.4, generator=generator()).backward(upstream)
    mask = step_mask(x, 0.4, 1, generator=generator())
    torch.testing.assert_close(x.grad, mask * upstream / 0.6, rtol=1e-15, atol=0)
    assert torch.autograd.gradcheck(
        lambda x: locked_dropout(x, 0.4, generator=generator()), (random(2, 3, 4).requires_grad_(),)
    )


def test_locked_keeps_one_byte_a_feature_of_a_sequence():
    x = random(20, 50, 30, dtype=torch.float32).requires_grad_()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        locked_dropout(x, 0.5)
    assert sum(t.numel() * t.element_size() for t in saved) <= 20 * 30


@pytest.mark.parametrize("training", [True, False])
def test_locked_gives_the_input_object(training):
    for x in (random(3, 4, 5), pack_sequence([random(4, 5), random(2, 5)])):
        assert locked_dropout(x, 0.0, training) is x
        assert locked_dropout(x, 0.5, False) is x
        assert LockedDropout(0.5).eval()(x) is x


@pytest.mark.parametrize("p", [1, 1.0, torch.tensor(1.0)])
def test_locked_at_rate_one(p):
    """Zeros: AWD divides the empty mask by 1 - p = 0."""
    x = random(3, 4, 5).requires_grad_()
    awd = torch.zeros(3, 1, 5).div(1 - float(p)) * x
    assert bool(awd.isnan().all())
    y = locked_dropout(x, p)
    assert bool((y == 0).all())
    y.sum().backward()
    assert bool((x.grad == 0).all())


def test_locked_zeroes_what_is_not_finite():
    x = torch.full((40, 5, 300), math.inf)
    x[:, 2] = math.nan
    y = locked_dropout(x, 0.5, generator=generator())
    dropped = (step_mask(x, 0.5, 1, generator=generator()) == 0).expand_as(x)
    assert bool((y[dropped] == 0).all()) and not bool(y[~dropped].isfinite().any())


def test_awd_locks_the_batch_of_batch_first_input():
    """AWD takes dimension 0 for the time, silently: all sequences of a batch-first input get one mask a step."""
    x = torch.ones(20, 30, 40)
    awd = torch.empty(1, 30, 40).bernoulli_(0.5, generator=generator()).div(0.5) * x
    steps_agree = lambda y: bool((y == y[:, :1]).all())  # noqa: E731
    assert not steps_agree(awd)
    assert steps_agree(locked_dropout(x, 0.5, generator=generator()))
    assert torch.equal(awd[0], awd[1])
    assert not torch.equal(*locked_dropout(x, 0.5, generator=generator())[:2])


# --- locked dropout: packed sequences ---------------------------------------------------------------------------------


@pytest.mark.parametrize("enforce_sorted", [True, False])
@pytest.mark.parametrize("features", [(7,), (3, 4)])
def test_packed_sequences_get_the_mask_of_their_padded_form(enforce_sorted, features):
    lengths = [9, 6, 6, 2, 1] if enforce_sorted else [2, 9, 6, 1, 6]
    padded = random(5, 9, *features).requires_grad_()
    packed = pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=enforce_sorted)
    y = locked_dropout(packed, 0.5, generator=generator())
    expected = pack_padded_sequence(
        locked_dropout(padded, 0.5, generator=generator()), lengths, batch_first=True, enforce_sorted=enforce_sorted
    )
    assert isinstance(y, PackedSequence)
    torch.testing.assert_close(y.data, expected.data, rtol=0, atol=0)
    assert all(one is other for one, other in zip(y[1:], packed[1:], strict=True))
    with torch.device("meta"):  # as a default for new tensors, it does not concern the input's
        assert torch.equal(locked_dropout(packed, 0.5, generator=generator()).data, y.data)
    torch.testing.assert_close(*(torch.autograd.grad(s.data.square().sum(), padded)[0] for s in (y, expected)))


def test_packed_sequences_through_a_recurrent_layer():
    rnn, locked = nn.GRU(4, 6, batch_first=True), LockedDropout(0.5)
    torch.manual_seed(0)
    outputs, _ = rnn(locked(pack_sequence([torch.ones(3, 4), torch.ones(5, 4)], enforce_sorted=False)))
    outputs, lengths = pad_packed_sequence(locked(outputs), batch_first=True)
    assert lengths.tolist() == [3, 5]
    for sequence, length in zip(outputs, lengths, strict=True):
        dropped = sequence[:length] == 0
        assert bool((dropped == dropped[0]).all()) and 0 < int(dropped[0].sum()) < 6


# --- locked dropout: arguments ----------------------------------------------------------------------------------------


def test_locked_arguments():
    x = torch.ones(3, 4, 5)
    for p in (1.3, -0.1, math.nan):
        with pytest.raises(ValueError, match=rf"^p must be in \[0, 1\], got {p}$"):
            locked_dropout(x, p, training=False)
    with pytest.raises(TypeError, match=r"^p must be a float.*got str$"):
        locked_dropout(x, "0.5")
    with pytest.raises(TypeError, match=r"^x must be a floating-point tensor, got torch.int64$"):
        locked_dropout(x.long(), 0.5)
    with pytest.raises(TypeError, match=r"^x must be a floating-point tensor, got torch.int64$"):
        locked_dropout(pack_sequence([torch.ones(3, 4).long()]), 0.5)
    with pytest.raises(TypeError, match=r"^x must be a Tensor, got list$"):
        locked_dropout([1.0], 0.5)
    for training in (True, False):
        for axis in (3, -4):
            with pytest.raises(ValueError, match=rf"^axis must be an axis of x, which has 3 dimensions, got {axis}$"):
                locked_dropout(x, 0.5, training, axis)
        for few in (torch.ones(()), torch.ones(3), torch.ones(3, 4)):
            with pytest.raises(ValueError, match=r"^x must have the shape \(N, T, D\)"):
                locked_dropout(few, 0.5, training)
        with pytest.raises(ValueError, match=r"^x must have the shape"):
            locked_dropout(torch.ones(3), 0.5, training, axis=0)
    for axis in (1.0, True, None):
        with pytest.raises(TypeError, match=rf"^axis must be an integer, got {type(axis).__name__}$"):
            locked_dropout(x, 0.5, axis=axis)
        with pytest.raises(TypeError, match=rf"^axis must be an integer, got {type(axis).__name__}$"):
            LockedDropout(0.5, axis=axis)
    with pytest.raises(ValueError, match=r"^p must be"):
        LockedDropout(1.3)


@pytest.mark.parametrize("axis", [0, 1])
def test_locked_module_is_its_function(axis):
    x = random(8, 9, 10)
    layer = LockedDropout(0.3, axis)
    torch.manual_seed(0)
    y = layer(x)
    torch.manual_seed(0)
    assert torch.equal(y, locked_dropout(x, 0.3, axis=axis))
    assert repr(layer) == f"LockedDropout(p=0.3, axis={axis})"
    assert list(layer.state_dict()) == []


# --- weight drop: values ----------------------------------------------------------------------------------------------

RECURRENT = {
    "lstm": lambda: nn.LSTM(5, 6),
    "gru": lambda: nn.GRU(5, 6, bias=False),
    "rnn": lambda: nn.RNN(5, 6, nonlinearity="relu", batch_first=True),
    "deep": lambda: nn.LSTM(5, 6, num_layers=3, bidirectional=True, batch_first=True),
    "projected": lambda: nn.LSTM(5, 6, num_layers=2, proj_size=3),
    "dropout between": lambda: nn.GRU(5, 6, num_layers=2, dropout=0.4),
}


def tensors(output):
    """All tensors of what a recurrent layer returns."""
    if isinstance(output, torch.Tensor):
        return [output]
    return [t for part in output if part is not None for t in tensors(part)]


def reference(module, names, p):
    """Another module, whose weights are really masked, with the random numbers that the wrapper would draw."""
    other = copy.deepcopy(module)
    for name in names:
        weight = module.get_parameter(name).detach()
        other.get_parameter(name).data = weight * weight_mask(weight, p) / (1 - p)
    return other


@pytest.mark.parametrize("kind", RECURRENT)
def test_weight_drop_is_the_module_with_masked_weights(kind):
    module = RECURRENT[kind]().double()
    wrapped = WeightDrop(module, 0.4)
    expected_names = [name for name, _ in module.named_parameters() if name.startswith("weight_hh")]
    assert list(wrapped.names) == expected_names and len(expected_names) == module.num_layers * (
        1 + module.bidirectional
    )
    x = random(7, 4, 5)
    torch.manual_seed(0)
    y = wrapped(x)
    torch.manual_seed(0)
    other = reference(module, expected_names, 0.4)
    expected = other(x)
    torch.testing.assert_close(tensors(y), tensors(expected), rtol=1e-13, atol=1e-13)
    # The gradient reaches the raw weights, through the mask and its scale; the others are as without the wrapper.
    sum(t.square().sum() for t in tensors(y)).backward()
    sum(t.square().sum() for t in tensors(expected)).backward()
    torch.manual_seed(0)
    masks = {name: weight_mask(module.get_parameter(name), 0.4).double() / 0.6 for name in expected_names}
    for name, weight in module.named_parameters():
        factor = masks.get(name, torch.ones(()))
        torch.testing.assert_close(weight.grad, other.get_parameter(name).grad * factor, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", RECURRENT)
def test_weight_drop_at_evaluation_is_the_module(kind):
    """Always: AWD's variational mode drops at evaluation too."""
    module = RECURRENT[kind]().double()
    twin = copy.deepcopy(module).eval()
    wrapped = WeightDrop(module, 0.9)
    x = random(7, 4, 5)
    dropped = wrapped(x)
    wrapped.eval()
    for _ in range(2):
        for one, other in zip(tensors(wrapped(x)), tensors(twin(x)), strict=True):
            assert torch.equal(one, other)
    assert not torch.equal(dropped[0], twin(x)[0])
    if kind != "dropout between":
        wrapped.train().p = 0.0
        assert torch.equal(wrapped(x)[0], twin(x)[0])


def test_weight_drop_takes_every_input_of_the_module():
    module = nn.LSTM(5, 6).double()
    wrapped = WeightDrop(module, 0.4)
    sequences = [random(length, 5, seed=length) for length in (4, 2, 3)]
    h, c = random(1, 3, 6, seed=4), random(1, 3, 6, seed=5)
    for arguments, keywords in (
        ((pack_sequence(sequences, enforce_sorted=False),), {}),
        ((random(7, 3, 5), (h, c)), {}),
        ((random(7, 3, 5),), {"hx": (h, c)}),
        ((random(7, 5),), {}),  # without a batch
    ):
        torch.manual_seed(0)
        y = wrapped(*arguments, **keywords)
        torch.manual_seed(0)
        expected = reference(module, ["weight_hh_l0"], 0.4)(*arguments, **keywords)
        torch.testing.assert_close(tensors(y), tensors(expected), rtol=1e-13, atol=1e-13)
        y, expected = wrapped.eval()(*arguments, **keywords), module(*arguments, **keywords)
        torch.testing.assert_close(tensors(y), tensors(expected), rtol=0, atol=0)
        wrapped.train()


@pytest.mark.parametrize(
    ("module", "names", "x"),
    [
        (nn.Linear(5, 6, bias=False), None, (4, 5)),
        (nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False), None, (2, 4, 8, 8)),
        (nn.ConvTranspose1d(4, 6, 3, dilation=2, output_padding=1, stride=2), "weight", (2, 4, 8)),
        (nn.Bilinear(5, 5, 6), ["weight", "bias"], (4, 5)),
        (nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 5)), ("0.weight", "2.weight"), (4, 5)),
        (nn.GRUCell(5, 6), None, (4, 5)),
        (nn.LSTM(5, 6), ["weight_ih_l0", "weight_hh_l0", "bias_hh_l0"], (7, 4, 5)),
    ],
)
def test_any_weight_of_any_module(module, names, x):
    """Weights, stride, groups and the missing bias stay: baal's patched layers are made anew, without them."""
    module = module.double()
    inputs = (random(*x),) * (2 if isinstance(module, nn.Bilinear) else 1)
    before = copy.deepcopy(module.state_dict())
    wrapped = WeightDrop(module, 0.4, names)
    torch.manual_seed(0)
    y = wrapped(*inputs)
    torch.manual_seed(0)
    torch.testing.assert_close(tensors(y), tensors(reference(module, wrapped.names, 0.4)(*inputs)))
    assert wrapped.module is module
    for one, other in zip(tensors(wrapped.eval()(*inputs)), tensors(module(*inputs)), strict=True):
        assert torch.equal(one, other)
    after = module.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)


def test_one_weight_mask_for_all_steps_and_another_for_each_call():
    """With the identity for all weights, a hidden state that is kept once is kept, and scaled, at each step."""
    rnn = nn.RNN(200, 200, bias=False, nonlinearity="relu")
    rnn.weight_ih_l0.data.zero_()
    rnn.weight_hh_l0.data = torch.eye(200)
    wrapped = WeightDrop(rnn, 0.5)
    torch.manual_seed(0)
    states = [wrapped(torch.zeros(5, 1, 200), torch.ones(1, 1, 200))[0][:, 0] for _ in range(2)]
    for state in states:
        assert sorted(state[4].unique().tolist()) == [0.0, 2.0**5]
        assert abs(z_score((state[4] == 0).sum(), 200, 0.5)) < LIMIT
        assert all(torch.equal(state[t] != 0, state[0] != 0) for t in range(5))
    assert not torch.equal(*states)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_weight_drop_rate_and_expectation(p):
    """Of a linear layer on the unit vectors the output is the weight itself, so that zeros and mean are seen."""
    linear = nn.Linear(300, 400, bias=False)
    linear.weight.data.fill_(1.0)
    torch.manual_seed(0)
    wrapped = WeightDrop(linear, p)
    first, second = wrapped(torch.eye(300)).detach(), wrapped(torch.eye(300)).detach()
    for weight in (first, second):
        assert abs(z_score((weight == 0).sum(), 120_000, p)) < LIMIT
        torch.testing.assert_close(weight.max().item(), 1 / (1 - p), rtol=1e-6, atol=0)
        assert abs(weight.mean().item() - 1) < LIMIT * math.sqrt(p / (1 - p) / 120_000)
    assert abs(z_score(((first == 0) & (second == 0)).sum(), 120_000, p * p)) < LIMIT


def test_weight_drop_at_rate_one():
    rnn = nn.GRU(5, 6).double()
    wrapped = WeightDrop(rnn, 1.0)
    wrapped(random(7, 4, 5))[0].square().sum().backward()
    assert bool((rnn.weight_hh_l0.grad == 0).all())
    assert all(bool(weight.grad.isfinite().all()) for weight in rnn.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weight_drop_follows_to(dtype):
    wrapped = WeightDrop(nn.LSTM(5, 6), 0.5)
    wrapped(random(7, 4, 5, dtype=torch.float32))
    wrapped.to(dtype)
    y, _ = wrapped(random(7, 4, 5, dtype=dtype))
    assert y.dtype == dtype and bool(y.isfinite().all())
    y.float().sum().backward()
    assert wrapped.module.weight_hh_l0.grad.dtype == dtype


def test_weight_drop_trains():
    """The raw weights are what the optimizer sees and moves."""
    torch.manual_seed(0)
    wrapped = WeightDrop(nn.LSTM(5, 6, batch_first=True), 0.3)
    head = nn.Linear(6, 1)
    optimizer = torch.optim.Adam([*wrapped.parameters(), *head.parameters()], lr=0.02)
    x = random(64, 7, 5, dtype=torch.float32)
    target = x[:, :, 0].cumsum(1).unsqueeze(-1).tanh()
    before = wrapped.module.weight_hh_l0.detach().clone()
    loss_of = lambda: F.mse_loss(head(wrapped(x)[0]), target)  # noqa: E731
    with torch.no_grad():
        start = float(wrapped.eval() and loss_of())
    wrapped.train()
    for _ in range(100):
        optimizer.zero_grad()
        loss_of().backward()
        optimizer.step()
    assert bool((wrapped.module.weight_hh_l0 != before).all())
    with torch.no_grad():
        assert float(wrapped.eval() and loss_of()) < start / 3


# --- weight drop: the module around it --------------------------------------------------------------------------------


def test_weight_drop_keeps_the_parameters_registered():
    rnn = nn.LSTM(5, 6, bidirectional=True)
    parameters = dict(rnn.named_parameters())
    wrapped = WeightDrop(rnn, 0.5)
    for _ in range(2):
        now = dict(wrapped.named_parameters())
        assert list(now) == [f"module.{name}" for name in parameters] == list(wrapped.state_dict())
        assert all(now[f"module.{name}"] is weight for name, weight in parameters.items())
        wrapped(torch.ones(7, 4, 5))


def test_weight_drop_says_nothing(capfd):
    """AWD prints each weight's name when it is made."""
    WeightDrop(nn.LSTM(5, 6), 0.5)(torch.ones(7, 4, 5))
    assert capfd.readouterr() == ("", "")


def test_weight_drop_can_be_copied_after_a_training_forward():
    """AWD leaves the masked weight, which is no leaf of the graph, in the module: deepcopy then fails."""
    awd = nn.LSTM(5, 6)
    raw = nn.Parameter(awd.weight_hh_l0.data)
    del awd._parameters["weight_hh_l0"]
    awd.weight_hh_l0 = F.dropout(raw, 0.5)
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(awd)

    wrapped = WeightDrop(nn.LSTM(5, 6), 0.5)
    x = random(7, 4, 5, dtype=torch.float32)
    wrapped(x)[0].sum().backward()
    stream = io.BytesIO()
    torch.save(wrapped, stream)
    stream.seek(0)
    twins = [copy.deepcopy(wrapped), pickle.loads(pickle.dumps(wrapped)), torch.load(stream, weights_only=False)]
    for mode in (True, False):
        torch.manual_seed(0)
        y, _ = wrapped.train(mode)(x)
        for twin in twins:
            torch.manual_seed(0)
            assert torch.equal(twin.train(mode)(x)[0], y)
    # A copy is on its own.
    twins[0].module.weight_hh_l0.data.zero_()
    assert bool((wrapped.module.weight_hh_l0 != 0).all())


def test_an_error_in_the_forward_leaves_the_module_as_it_was():
    rnn = nn.LSTM(5, 6)
    parameters = list(rnn.parameters())
    twin = copy.deepcopy(rnn)
    wrapped = WeightDrop(rnn, 0.5)
    with pytest.raises(RuntimeError):
        wrapped(torch.ones(7, 4, 99))
    assert all(one is other for one, other in zip(rnn.parameters(), parameters, strict=True))
    x = random(7, 4, 5, dtype=torch.float32)
    assert torch.equal(wrapped.eval()(x)[0], twin(x)[0])
    assert torch.equal(rnn(x)[0], twin(x)[0])  # the module itself, called without the wrapper
    copy.deepcopy(rnn)


def test_wrapped_module_is_plain_when_called_by_itself():
    rnn = nn.LSTM(5, 6)
    twin = copy.deepcopy(rnn)
    x = random(7, 4, 5, dtype=torch.float32)
    WeightDrop(rnn, 0.5)(x)
    assert torch.equal(rnn(x)[0], twin(x)[0])
    rnn(x)[0].sum().backward()
    twin(x)[0].sum().backward()
    torch.testing.assert_close(rnn.weight_hh_l0.grad, twin.weight_hh_l0.grad)


def test_weight_drop_twice_before_backward():
    """Two calls, two masks, one backward pass through both."""
    module = nn.LSTM(5, 6).double()
    x = random(7, 4, 5)
    wrapped = WeightDrop(module, 0.4)
    torch.manual_seed(0)
    (wrapped(x)[0].sum() + 2 * wrapped(x)[0].sum()).backward()
    torch.manual_seed(0)
    gradients = []
    for _ in range(2):
        other = reference(module, ["weight_hh_l0"], 0.4)
        other(x)[0].sum().backward()
        gradients.append(other.weight_ih_l0.grad)
    torch.testing.assert_close(module.weight_ih_l0.grad, gradients[0] + 2 * gradients[1])


def test_weight_drop_loads_checkpoints_with_and_without_the_wrapper():
    """Also within a model, and strictly: each weight has a place and each place a weight."""
    net = nn.Sequential(nn.Linear(5, 5), nn.LSTM(5, 6))
    wrapped = nn.Sequential(nn.Linear(5, 5), WeightDrop(nn.LSTM(5, 6), 0.5))
    plain = net.state_dict()
    wrapped.load_state_dict(plain)
    assert list(plain) == list(net.state_dict())  # the caller's dictionary is not touched
    own = wrapped.state_dict()
    assert list(own)[2] == "1.module.weight_ih_l0"
    assert all(torch.equal(own[name.replace("1.", "1.module.")], tensor) for name, tensor in plain.items())
    again = copy.deepcopy(wrapped)
    for weight in again.parameters():
        weight.data.zero_()
    again.load_state_dict(own)
    assert all(torch.equal(one, other) for one, other in zip(again.parameters(), net.parameters(), strict=True))
    del plain["1.weight_hh_l0"]
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"1.module.weight_hh_l0\""):
        wrapped.load_state_dict(plain)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        wrapped.load_state_dict({**own, "1.weight_xx": torch.ones(1)})


def test_tied_weights_are_dropped_together():
    """The one weight under two names is masked once."""
    net = nn.Sequential(nn.Linear(5, 5, bias=False), nn.Linear(5, 5, bias=False)).double()
    net[1].weight = net[0].weight
    torch.manual_seed(0)
    y = WeightDrop(net, 0.5, "0.weight")(torch.eye(5).double())
    torch.manual_seed(0)
    masked = net[0].weight * weight_mask(net[0].weight, 0.5) / 0.5
    torch.testing.assert_close(y, (masked @ masked).T)


def test_weight_drop_arguments():
    rnn = nn.LSTM(5, 6)
    with pytest.raises(TypeError, match=r"^module must be a torch.nn.Module, got str$"):
        WeightDrop("lstm", 0.5)
    with pytest.raises(ValueError, match=r"^p must be in \[0, 1\], got 1.5$"):
        WeightDrop(rnn, 1.5)
    with pytest.raises(ValueError, match=r"^names must be .*'weight_hh_l0'.*got 'weight_hh_l1'$"):
        WeightDrop(rnn, 0.5, ["weight_hh_l0", "weight_hh_l1"])
    with pytest.raises(ValueError, match=r"^names must be .*got 'weight'$"):
        WeightDrop(nn.ReLU())
    assert WeightDrop(rnn, 0.25, "weight_ih_l0").extra_repr() == "p=0.25, names=['weight_ih_l0']"
    assert WeightDrop(rnn).p == 0.5
    inside = nn.ModuleDict({"rnn": rnn, "head": nn.Linear(6, 2)})
    assert WeightDrop(inside).names == ("rnn.weight_hh_l0",)


def test_weight_drop_under_functional_call():
    """The parameters that a caller of torch.func passes are those that are masked."""
    module = nn.Linear(30, 40).double()
    wrapped = WeightDrop(module, 0.5)
    x = random(3, 30)

    def loss(weight):
        return torch.func.functional_call(wrapped, {"module.weight": weight}, (x,)).square().sum()

    weight = random(40, 30, seed=2)
    torch.manual_seed(0)
    gradient = torch.func.grad(loss)(weight)
    module.weight.data.copy_(weight)
    torch.manual_seed(0)
    wrapped(x).square().sum().backward()
    torch.testing.assert_close(gradient, module.weight.grad)


@pytest.mark.parametrize("whole", [True, False])
def test_weight_drop_compiled(whole):
    """A linear layer in one graph; the compiler breaks the graph at recurrent layers, with the same results."""
    torch._dynamo.reset()
    module = nn.Linear(20, 30) if whole else nn.LSTM(20, 30)
    wrapped = WeightDrop(module.double(), 0.5)
    compiled = torch.compile(wrapped, fullgraph=whole, backend="aot_eager")
    x = random(7, 4, 20)
    results = []
    for run in (wrapped, compiled):
        torch.manual_seed(0)
        y = tensors(run(x))
        y[0].square().sum().backward()
        results.append([*y, *(weight.grad for weight in module.parameters())])
        module.zero_grad()
    torch.testing.assert_close(*results)


# --- embedding dropout: values ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (0,), (12,), (5, 7), (2, 3, 4)])
@pytest.mark.parametrize("integers", [torch.int64, torch.int32])
@pytest.mark.parametrize("p", [0.2, 0.5, 0.8, torch.tensor(0.3, dtype=torch.float64)])
def test_embedding_is_the_lookup_in_a_masked_table(shape, integers, p):
    weight = random(50, 6)
    ids = torch.randint(50, shape, generator=generator(7), dtype=integers)
    y = embedding_dropout(ids, weight, p, generator=generator())
    mask = word_mask(torch.arange(len(weight)), p, generator=generator())[:, None]
    assert y.shape == (*shape, 6)
    torch.testing.assert_close(y, F.embedding(ids, mask * weight / (1 - float(p))), rtol=1e-15, atol=0)


def test_a_word_is_dropped_everywhere_in_the_batch():
    """fastai's own check, and more: each vector is zero or scaled, and a word has one fate."""
    embedding = nn.Embedding(10, 7, padding_idx=1)
    words = EmbeddingDropout(embedding, 0.5)
    ids = torch.randint(10, (30, 40), generator=generator())
    torch.manual_seed(0)
    y = words(ids)
    fates = {}
    for word, vector in zip(ids.flatten().tolist(), y.reshape(-1, 7), strict=True):
        if bool((vector == 0).all()):
            fates.setdefault(word, set()).add("dropped")
        else:
            torch.testing.assert_close(vector, 2 * embedding.weight[word])
            fates.setdefault(word, set()).add("kept")
    assert len(fates) == 10 and all(len(fate) == 1 for fate in fates.values())
    assert {fate for fates_of_word in fates.values() for fate in fates_of_word} == {"dropped", "kept"}


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_embedding_rate_and_independence(p):
    """Rate over words; neighbours; another mask at each call."""
    weight = torch.ones(40_000, 2)
    ids = torch.arange(40_000)
    source = generator(5)
    first, second = (embedding_dropout(ids, weight, p, generator=source)[:, 0] == 0 for _ in range(2))
    assert abs(z_score(first.sum(), 40_000, p)) < LIMIT
    assert abs(z_score((first[1:] & first[:-1]).sum(), 39_999, p * p)) < LIMIT
    assert abs(z_score((first & second).sum(), 40_000, p * p)) < LIMIT
    mean = float(embedding_dropout(ids, weight, p, generator=source).mean())
    assert abs(mean - 1) < LIMIT * math.sqrt(p / (1 - p) / 40_000)


def test_the_coin_of_a_word_does_not_depend_on_the_batch():
    weight = random(100, 3)
    whole = embedding_dropout(torch.arange(100), weight, 0.5, generator=generator())
    ids = torch.tensor([[7, 99, 7], [0, 1, 50]])
    assert torch.equal(embedding_dropout(ids, weight, 0.5, generator=generator()), whole[ids])


@pytest.mark.parametrize(("sparse", "scale_grad_by_freq"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("padding_idx", [None, 3, -1])
def test_embedding_gradient(sparse, scale_grad_by_freq, padding_idx):
    weight = random(12, 5)
    ids = torch.randint(12, (6, 7), generator=generator(7))
    upstream = random(6, 7, 5, seed=2)
    options = {"sparse": sparse, "scale_grad_by_freq": scale_grad_by_freq, "padding_idx": padding_idx}
    mask = word_mask(torch.arange(len(weight)), 0.4, generator=generator())[:, None].double() / 0.6
    ours, plain = (weight.clone().requires_grad_() for _ in range(2))
    embedding_dropout(ids, ours, 0.4, generator=generator(), **options).backward(upstream)
    (F.embedding(ids, plain, **options) * mask[ids]).backward(upstream)
    assert ours.grad.is_sparse == sparse
    torch.testing.assert_close(ours.grad.to_dense(), plain.grad.to_dense(), rtol=1e-12, atol=1e-12)
    dropped = mask[:, 0] == 0
    assert 0 < int(dropped.sum()) < 12 and bool((ours.grad.to_dense()[dropped] == 0).all())


def test_embedding_gradcheck():
    weight = random(6, 3).requires_grad_()
    ids = torch.randint(6, (4, 5), generator=generator())
    fixed = lambda weight: embedding_dropout(ids, weight, 0.4, generator=generator())  # noqa: E731
    assert torch.autograd.gradcheck(fixed, (weight,))
    assert torch.autograd.gradgradcheck(lambda weight: fixed(weight) ** 2, (weight,))


@pytest.mark.parametrize("training", [True, False])
def test_embedding_at_rate_zero_and_evaluation(training):
    weight = random(12, 5)
    ids = torch.tensor([[3, 1], [4, 1]])
    before = torch.get_rng_state()
    assert torch.equal(embedding_dropout(ids, weight, 0.0, training), weight[ids])
    assert torch.equal(embedding_dropout(ids, weight, 0.5, False), weight[ids])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("p", [1, 1.0, torch.tensor(1.0)])
def test_embedding_at_rate_one(p):
    weight = random(12, 5).requires_grad_()
    y = embedding_dropout(torch.arange(12), weight, p)
    assert bool((y == 0).all())
    y.sum().backward()
    assert bool((weight.grad == 0).all())


def test_embedding_zeroes_what_is_not_finite():
    weight = torch.full((40, 3), math.inf, requires_grad=True)
    y = embedding_dropout(torch.arange(40), weight, 0.5, generator=generator())
    dropped = word_mask(torch.arange(len(weight)), 0.5, generator=generator()) == 0
    assert bool((y[dropped] == 0).all()) and bool((y[~dropped] == math.inf).all())
    y.backward(torch.full_like(y, math.inf))
    assert bool((weight.grad[dropped] == 0).all())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("p", [0.3, torch.tensor(0.3, dtype=torch.float64)])
def test_embedding_in_sixteen_bits_is_rounded_once(dtype, p):
    weight = random(400, 30, dtype=dtype)
    ids = torch.arange(400)
    y = embedding_dropout(ids, weight, p, generator=generator())
    mask = word_mask(torch.arange(len(weight)), p, generator=generator())[:, None]
    torch.testing.assert_close(y, (weight.float() * mask / 0.7).to(dtype), rtol=0, atol=0)


def test_the_table_is_never_changed():
    """fastai scales it in place at evaluation: each pass makes it smaller."""
    embedding = nn.Embedding(12, 5)
    before = embedding.weight.detach().clone()
    fastai = before.clone()
    for _ in range(3):
        F.embedding(torch.arange(12), fastai.mul_(0.9))
    assert not torch.equal(fastai, before)

    words = EmbeddingDropout(embedding, 0.5)
    for mode in (True, False, True):
        words.train(mode)(torch.arange(12))
    assert torch.equal(embedding.weight, before)


def test_embedding_keeps_the_dropped_tokens_for_the_backward_pass():
    weight = random(50, 64, dtype=torch.float32).requires_grad_()
    ids = torch.randint(50, (1000,), generator=generator())
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        embedding_dropout(ids, weight, 0.1, generator=generator())
    assert sum(t.numel() * t.element_size() for t in saved) < 2 * 8 * 1000  # the ids and some positions, not the rows


class Largest(TorchDispatchMode):
    """Records how many bytes the largest new result of torch's operators takes (a view is nothing new)."""

    bytes = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        given, made = (
            [t.untyped_storage() for t in tree_leaves(each) if isinstance(t, torch.Tensor)]
            for each in (arguments, result)
        )
        new = [storage for storage in made if storage.data_ptr() not in {other.data_ptr() for other in given}]
        self.bytes = max([self.bytes, *(storage.nbytes() for storage in new)])
        return result


def test_cost_follows_the_tokens():
    """Nothing of the size of the table is made, not even a coin a word, where AWD multiplies all of it."""
    weight = random(5000, 64, dtype=torch.float32)
    ids = torch.randint(5000, (100,), generator=generator())
    with Largest() as ours:
        embedding_dropout(ids, weight, 0.1)
    with Largest() as awd:
        F.embedding(ids, torch.empty(5000, 1).bernoulli_(0.9).expand_as(weight) / 0.9 * weight)
    assert ours.bytes <= 100 * 64 * 4 and awd.bytes == 5000 * 64 * 4
    narrow = random(5_000_000, 1, dtype=torch.float32)
    with Largest() as ours:
        embedding_dropout(ids, narrow, 0.1)
    assert ours.bytes <= 100 * 8  # the hash of an id


# --- embedding dropout: the module and its arguments ------------------------------------------------------------------


def test_embedding_module_is_its_function():
    table = nn.Embedding(50, 6, padding_idx=0)
    words = EmbeddingDropout(table, 0.3)
    ids = torch.randint(50, (5, 7), generator=generator())
    torch.manual_seed(0)
    y = words(ids)
    torch.manual_seed(0)
    assert torch.equal(y, embedding_dropout(ids, table.weight, 0.3))
    assert torch.equal(words.eval()(ids), table(ids))
    assert EmbeddingDropout(table).p == 0.1 and "p=0.3" in repr(words)


def test_embedding_norms_are_euclidean_unless_said_otherwise():
    weight, ids = random(5, 4), torch.arange(5)
    y = embedding_dropout(ids, weight.clone(), training=False, max_norm=0.5)
    torch.testing.assert_close(y, F.embedding(ids, weight.clone(), max_norm=0.5, norm_type=2.0))


@pytest.mark.parametrize("training", [True, False])
def test_embedding_module_honours_the_options_of_the_embedding(training):
    ids = torch.randint(12, (40,), generator=generator())
    for options in (
        {"padding_idx": 3},
        {"max_norm": 0.5, "norm_type": 1.0},
        {"scale_grad_by_freq": True},
        {"sparse": True},
    ):
        table = nn.Embedding(12, 5, **options).double()
        twin = copy.deepcopy(table)
        words = EmbeddingDropout(table, 0.4).train(training)
        torch.manual_seed(0)
        y = words(ids)
        torch.manual_seed(0)
        factor = word_mask(torch.arange(len(twin.weight)), 0.4)[:, None][ids].double() / 0.6 if training else 1.0
        expected = twin(ids) * factor
        torch.testing.assert_close(y, expected)
        torch.testing.assert_close(table.weight, twin.weight)  # max_norm, and nothing else, changes the table
        upstream = random(40, 5)
        y.backward(upstream)
        expected.backward(upstream)
        assert table.weight.grad.is_sparse == twin.weight.grad.is_sparse
        torch.testing.assert_close(table.weight.grad.to_dense(), twin.weight.grad.to_dense())


def test_embedding_can_be_tied_to_the_output_layer():
    words, decoder = EmbeddingDropout(nn.Embedding(12, 5), 0.5), nn.Linear(5, 12, bias=False)
    decoder.weight = words.weight
    ids = torch.arange(12)
    torch.manual_seed(0)
    decoder(words(ids)).square().sum().backward()
    weight = words.embedding.weight
    assert decoder.weight is weight and list(nn.ModuleList([words, decoder]).parameters()) == [weight]
    torch.manual_seed(0)
    mask = word_mask(torch.arange(len(weight)), 0.5)[:, None] / 0.5
    leaf = weight.detach().clone().requires_grad_()
    ((mask * leaf)[ids] @ leaf.T).square().sum().backward()
    torch.testing.assert_close(weight.grad, leaf.grad)


def test_embedding_module_survives_copying_and_loads_a_plain_checkpoint():
    table = nn.Embedding(12, 5)
    words = EmbeddingDropout(nn.Embedding(12, 5), 0.5)
    words.load_state_dict(table.state_dict())
    assert torch.equal(words.weight, table.weight) and list(words.state_dict()) == ["embedding.weight"]
    ids = torch.arange(12)
    torch.manual_seed(0)
    y = words(ids)
    for twin in (copy.deepcopy(words), pickle.loads(pickle.dumps(words))):
        torch.manual_seed(0)
        assert torch.equal(twin(ids), y) and twin.weight is not words.weight


def test_embedding_arguments():
    weight, ids = torch.ones(12, 5), torch.arange(3)
    for wrong, got in (
        (ids.float(), "a tensor of torch.float32"),
        (ids.bool(), "a tensor of torch.bool"),
        ([1], "list"),
    ):
        with pytest.raises(TypeError, match=rf"^ids must be a tensor of torch.int64 or torch.int32, got {got}$"):
            embedding_dropout(wrong, weight)
    with pytest.raises(TypeError, match=r"^weight must be a floating-point tensor, got torch.int64$"):
        embedding_dropout(ids, weight.long())
    with pytest.raises(ValueError, match=r"^weight must have the shape \(V, D\), got \(12,\)$"):
        embedding_dropout(ids, weight[:, 0])
    for training in (True, False):
        for p in (1.3, -0.1, math.nan):
            with pytest.raises(ValueError, match=rf"^p must be in \[0, 1\], got {p}$"):
                embedding_dropout(ids, weight, p, training)
        with pytest.raises(ValueError, match=r"^p must be one rate for all words, got a tensor of shape \(12, 1\)$"):
            embedding_dropout(ids, weight, torch.full((12, 1), 0.5), training)
        with pytest.raises(IndexError):
            embedding_dropout(torch.tensor([12]), weight, 0.5, training)
    with pytest.raises(TypeError, match=r"^embedding must be a torch.nn.Embedding, got Tensor$"):
        EmbeddingDropout(weight)
    with pytest.raises(ValueError, match=r"^p must be"):
        EmbeddingDropout(nn.Embedding(3, 4), -1)


# --- all three --------------------------------------------------------------------------------------------------------

LAYERS = {
    "locked": (lambda p: LockedDropout(p), lambda: random(6, 7, 5)),
    "weight": (lambda p: WeightDrop(nn.Linear(5, 300).double(), p), lambda: random(6, 7, 5)),
    "embedding": (lambda p: EmbeddingDropout(nn.Embedding(50, 5).double(), p), lambda: torch.arange(50).view(5, 10)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_a_rate_that_moves(kind):
    make, x = LAYERS[kind]
    ramp = Ramp(0.0, 1.0, 2)
    layer, steady = make(ramp), make(0.5)
    steady.load_state_dict({name: t for name, t in layer.state_dict().items() if not name.startswith("p.")})
    plain = layer.eval()(x())
    torch.testing.assert_close(layer.train()(x()), plain)  # the ramp begins at 0
    ramp.advance()
    torch.manual_seed(0)
    y = layer(x())
    torch.manual_seed(0)
    torch.testing.assert_close(steady(x()), y)
    ramp.advance()
    if kind == "weight":
        torch.testing.assert_close(layer(x()), layer.module.bias.expand_as(plain))
    else:
        assert bool((layer(x()) == 0).all())
    assert {"p.p", "p.step"} <= set(layer.state_dict()) and "p=0" not in repr(layer)


@pytest.mark.parametrize("kind", ["locked", "embedding"])
def test_seeds(kind):
    make, x = LAYERS[kind]
    layer, x = make(0.5), x()
    if kind == "locked":
        call = lambda g: locked_dropout(x, 0.5, generator=g)  # noqa: E731
    else:
        call = lambda g: embedding_dropout(x, layer.weight, 0.5, generator=g)  # noqa: E731
    torch.manual_seed(5)
    first, second = layer(x), layer(x)
    before = torch.get_rng_state()
    assert torch.equal(call(generator(5)), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("kind", LAYERS)
def test_compiled_equals_eager(kind):
    torch._dynamo.reset()
    make, x = LAYERS[kind]
    layer, x = make(0.5), x()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    results = []
    for run in (layer, compiled):
        torch.manual_seed(0)
        results.append((run(x), run(x)))
    assert not torch.equal(*results[0])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("kind", LAYERS)
def test_vmap(kind):
    make, x = LAYERS[kind]
    layer, x = make(0.5), x()
    batch = torch.stack([x] * 20)
    different = torch.func.vmap(layer, randomness="different")(batch)
    assert len({tuple(y.flatten().tolist()) for y in different}) == 20
    same = torch.func.vmap(layer, randomness="same")(batch)
    assert bool((same == same[:1]).all())
