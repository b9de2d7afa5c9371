"""Penalties: values, proximal steps, the relation of L2 to decoupled decay, max-norm, early stopping."""

import copy
import io
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch import nn

from companion.models import StackedMLP
from companion.penalties import EarlyStopping, l1_penalty, l2_penalty, max_norm_, soft_threshold_, weights_of

PENALTIES = [l1_penalty, l2_penalty]
FLOATS = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
numbers = st.floats(-1e3, 1e3, allow_subnormal=False)


def random(*shape, dtype=torch.float64, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


# --- L1 and L2: values and gradients ----------------------------------------------------------------------------------


def test_values():
    w = torch.tensor([3.0, -4.0, 0.0])
    assert l1_penalty(w).item() == 7
    assert l2_penalty(w).item() == 12.5
    assert l1_penalty([w, w], 0.5).item() == 7
    assert l2_penalty([w, 2 * w], 0.1).item() == pytest.approx(0.1 * 12.5 * 5)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradients(penalty):
    w = random(5, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda w: penalty(w, 0.3), (w,))
    strength = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(penalty, (w, strength))
    penalty(w, 0.3).backward()
    torch.testing.assert_close(w.grad, 0.3 * (w.sign() if penalty is l1_penalty else w).detach())


@pytest.mark.parametrize("penalty", PENALTIES)
def test_gradient_at_zero_is_zero(penalty):
    w = torch.zeros(3, requires_grad=True)
    penalty(w).backward()
    assert w.grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("penalty", PENALTIES)
def test_one_strength_a_model(penalty):
    w, v, strength = random(3, 4, 5), random(3, 7, seed=2), torch.tensor([0.0, 0.5, 2.0])
    together = penalty([w, v], strength)
    assert together.shape == (3,)
    for m in range(3):
        torch.testing.assert_close(together[m], penalty([w[m], v[m]], strength[m].item()))
    assert penalty(strength, strength).shape == (3,)  # one number a model


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_sums_do_not_overflow(penalty, dtype):
    w = torch.full((400, 400), 2.0, dtype=dtype)
    assert penalty(w).item() == 320_000
    assert penalty(torch.full((1,), 1000.0, dtype=dtype)).isfinite().item()


def test_a_module_stands_for_its_weights():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
            self.attention, self.lstm = nn.MultiheadAttention(4, 2), nn.LSTM(4, 4)
            self.head = nn.Linear(4, 4)
            self.tied = self.head
            self.frozen = nn.Linear(4, 4).requires_grad_(False)

    net = Net()
    expected = [
        net.conv.weight,
        net.attention.in_proj_weight,
        net.attention.out_proj.weight,
        net.lstm.weight_ih_l0,
        net.lstm.weight_hh_l0,
        net.head.weight,
    ]
    found = weights_of(net)
    assert len(found) == len(expected) and all(any(f is e for e in expected) for f in found)
    for penalty in PENALTIES:
        assert penalty(net).item() == penalty(expected).item()
    stacked = StackedMLP((4, 3, 2), seeds=[0, 1])
    assert all(f is w for f, w in zip(weights_of(stacked), stacked.weights, strict=True))


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(
    ("parameters", "strength", "error", "message"),
    [
        ([], 1.0, ValueError, "parameters must hold at least one tensor"),
        (nn.ReLU(), 1.0, ValueError, "parameters must hold at least one tensor"),
        ([3.0], 1.0, TypeError, "parameters must be a tensor, an iterable of tensors or a module, got float"),
        (torch.ones(2, dtype=torch.int64), 1.0, TypeError, "parameters must be floating-point"),
        (torch.ones(2), -1.0, ValueError, "strength must not be negative, got -1.0"),
        (torch.ones(2), math.nan, ValueError, "strength must not be negative, got nan"),
        (torch.ones(2), "1", TypeError, "strength must be a float or a tensor, got str"),
        (torch.ones(2), torch.ones(3), ValueError, r"parameters must begin with the axes of strength, \(3,\)"),
    ],
)
def test_penalty_errors(penalty, parameters, strength, error, message):
    with pytest.raises(error, match=message):
        penalty(parameters, strength)


# --- L2 and decoupled decay -------------------------------------------------------------------------------------------

LR, DECAY = 0.1, 0.01


def trajectory(optimizer, gradient, steps, l2=0.0, shrink=0.0, start=2.0):
    """The weights of a run: L2 in the loss by ``l2``, decoupled decay by ``shrink`` before each step."""
    w = torch.full((3,), start, dtype=torch.float64, requires_grad=True)
    optimizer = optimizer([w])
    path = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = (gradient(w.detach(), step) * w).sum()
        (loss + l2_penalty(w, l2)).backward()
        with torch.no_grad():
            w.mul_(1 - LR * shrink)
        optimizer.step()
        path.append(w.detach().clone())
    return torch.stack(path)


def pull(w, step):
    """Gradient of a quadratic with another curvature for each weight."""
    return torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64) * (w - 1)


def test_plain_gradient_descent_l2_is_decoupled_decay():
    l2 = trajectory(lambda w: torch.optim.SGD(w, LR), pull, 50, l2=DECAY)
    argument = trajectory(lambda w: torch.optim.SGD(w, LR, weight_decay=DECAY), pull, 50)
    decoupled = trajectory(lambda w: torch.optim.SGD(w, LR), pull, 50, shrink=DECAY)
    torch.testing.assert_close(l2, argument, rtol=1e-13, atol=0)
    torch.testing.assert_close(l2, decoupled, rtol=1e-13, atol=0)
    # One step from w = 2 with g = 0.5: 2 (1 - 0.001) - 0.05. The penalty without its factor 1/2 would give 1.946.
    one = trajectory(lambda w: torch.optim.SGD(w, LR), lambda w, step: torch.full_like(w, 0.5), 1, l2=DECAY)
    torch.testing.assert_close(one, torch.full_like(one, 1.948), rtol=1e-14, atol=0)


def test_momentum_separates_l2_from_decoupled_decay():
    """Fixed points on h/2 (w - 1)^2: h/(h + decay) with L2, h/(h + (1 - momentum) decay) decoupled."""
    h, decay, momentum = 1.0, 0.1, 0.9

    def sgd(w):
        return torch.optim.SGD(w, LR, momentum=momentum)

    def curve(w, step):
        return h * (w - 1)

    l2 = trajectory(sgd, curve, 1000, l2=decay)[-1]
    decoupled = trajectory(sgd, curve, 1000, shrink=decay)[-1]
    torch.testing.assert_close(l2, torch.full_like(l2, h / (h + decay)), rtol=1e-9, atol=0)
    torch.testing.assert_close(decoupled, torch.full_like(l2, h / (h + (1 - momentum) * decay)), rtol=1e-9, atol=0)
    stronger = trajectory(sgd, curve, 1000, shrink=decay / (1 - momentum))[-1]
    torch.testing.assert_close(stronger, l2, rtol=1e-9, atol=0)  # the same place again, by another path


def test_adam_divides_l2_by_the_size_of_the_gradient_and_adamw_does_not():
    scales = torch.tensor([0.01, 1.0, 100.0], dtype=torch.float64)
    noise = random(1000, 3)

    def gradient(w, step):
        return scales * noise[step]

    def adam(w):
        return torch.optim.Adam(w, 0.01)

    def adamw(w):
        return torch.optim.AdamW(w, 0.01, weight_decay=0.1)

    steps = len(noise)
    free = trajectory(adam, gradient, steps, start=5.0)
    l2 = trajectory(adam, gradient, steps, l2=0.1, start=5.0)
    decoupled = trajectory(adamw, gradient, steps, start=5.0)
    by_hand = trajectory(adam, gradient, steps, shrink=0.1 * 0.01 / LR, start=5.0)
    torch.testing.assert_close(decoupled, by_hand, rtol=1e-12, atol=1e-12)  # AdamW is Adam and a shrink before it
    lost_decoupled, lost_l2 = (free - decoupled)[-1], (free - l2)[-1]
    assert (lost_decoupled.max() - lost_decoupled.min()) / lost_decoupled.mean() < 0.2  # alike for all sizes
    assert lost_l2[0] > 1.3 * lost_decoupled[0] and lost_l2[2] < 0.1 * lost_decoupled[2]


# --- soft threshold ---------------------------------------------------------------------------------------------------


@given(st.lists(numbers, min_size=1, max_size=20), st.floats(0, 1e3, allow_subnormal=False))
def test_soft_threshold_shrinks_by_the_amount_and_keeps_the_sign(values, amount):
    w = torch.tensor(values, dtype=torch.float64)
    got = soft_threshold_(w.clone(), amount)
    torch.testing.assert_close(got, w.sign() * (w.abs() - amount).clamp(min=0), rtol=1e-12, atol=1e-12)
    assert bool((got[w.abs() <= amount] == 0).all())
    assert bool((got * w >= 0).all()) and bool((got.abs() <= w.abs()).all())


@given(numbers, st.floats(0, 100, allow_subnormal=False))
@settings(max_examples=50, deadline=None)
def test_soft_threshold_is_the_proximal_operator_of_l1(w, amount):
    """It minimises (u - w)^2 / 2 + amount |u|: no better u is found by search."""

    def objective(u):
        return 0.5 * (u - w) ** 2 + amount * abs(u)

    got = soft_threshold_(torch.tensor([w], dtype=torch.float64), amount).item()
    searched = minimize_scalar(objective, bounds=(-abs(w) - 1, abs(w) + 1), method="bounded").fun
    assert objective(got) <= searched + 1e-9 * (1 + w * w)
    for step in (1e-3, -1e-3, 1e-6, -1e-6):
        assert objective(got) <= objective(got + step) + 1e-12 * (1 + w * w)


@pytest.mark.parametrize("dtype", FLOATS)
def test_soft_threshold_in_place(dtype):
    w = random(30, 40, dtype=dtype).requires_grad_()
    before, place = w.detach().clone(), w.data_ptr()
    assert soft_threshold_(w, 0.5) is w
    assert w.data_ptr() == place and w.dtype == dtype and w.requires_grad and w.is_leaf and w.grad_fn is None
    zero = w == 0
    assert 0.3 < zero.double().mean() < 0.5  # P(|N(0, 1)| < 0.5) = 0.38
    assert torch.equal(zero, before.abs() <= 0.5)
    assert not bool(w.detach()[zero].signbit().any())
    assert soft_threshold_(w, 0.0) is w


def test_soft_threshold_of_several():
    model = nn.Linear(20, 30)
    bias = model.bias.detach().clone()
    (weight,) = soft_threshold_(model, 0.1)
    assert weight is model.weight and bool((weight == 0).any()) and torch.equal(model.bias, bias)
    given_as_generator = soft_threshold_((p for p in model.parameters()), 10.0)
    assert len(given_as_generator) == 2 and not bool(model.bias.any())
    w = random(3, 5, 5)
    amounts = torch.tensor([0.0, 0.5, 10.0], dtype=torch.float64).view(3, 1, 1)  # one a model
    got = soft_threshold_(w.clone(), amounts)
    for m in range(3):
        torch.testing.assert_close(got[m], soft_threshold_(w[m].clone(), amounts[m].item()), rtol=1e-15, atol=0)


def test_only_the_proximal_step_gives_exact_zeros():
    """A regression with 3 useful features of 20: subgradient descent leaves no zero, the proximal step 17."""
    x = random(200, 20)
    y = x[:, :3] @ torch.tensor([2.0, -3.0, 1.0], dtype=torch.float64) + 0.1 * random(200, seed=2)
    zeros = {}
    for proximal in (False, True):
        w = torch.zeros(20, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.SGD([w], 0.05)
        for _ in range(400):
            optimizer.zero_grad()
            loss = 0.5 * (x @ w - y).square().mean()
            (loss if proximal else loss + l1_penalty(w, 0.1)).backward()
            optimizer.step()
            if proximal:
                soft_threshold_(w, 0.05 * 0.1)
        zeros[proximal] = int((w == 0).sum())
    assert zeros == {False: 0, True: 17}


@pytest.mark.parametrize(
    ("parameters", "amount", "error", "message"),
    [
        (torch.ones(2), -0.1, ValueError, "amount must not be negative, got -0.1"),
        (torch.ones(2), math.nan, ValueError, "amount must not be negative, got nan"),
        (torch.ones(2), torch.tensor([1.0, -1.0]), ValueError, "amount must not be negative"),
        (torch.ones(2), None, TypeError, "amount must be a float or a tensor, got NoneType"),
        (
            torch.ones(2, dtype=torch.int32),
            0.1,
            TypeError,
            "parameters must be floating-point tensors, got torch.int32",
        ),
        (["w"], 0.1, TypeError, "parameters must be a tensor, an iterable of tensors or a module, got str"),
    ],
)
def test_soft_threshold_errors(parameters, amount, error, message):
    with pytest.raises(error, match=message):
        soft_threshold_(parameters, amount)


# --- max-norm ---------------------------------------------------------------------------------------------------------


def test_max_norm_of_a_unit():
    w = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    assert max_norm_(w, 3.0) is w
    torch.testing.assert_close(w[0], torch.tensor([1.8, 2.4]))
    assert w[1:].tolist() == torch.tensor([[0.3, 0.4], [0.0, 0.0]]).tolist()  # within the limit: not touched


@pytest.mark.parametrize(
    ("layer", "axis"),
    [
        (nn.Linear(6, 5), 0),
        (nn.Conv1d(4, 5, 3), 0),
        (nn.Conv2d(4, 5, 3), 0),
        (nn.ConvTranspose2d(4, 5, 3), 1),
        (nn.Embedding(7, 4), 0),
    ],
)
def test_max_norm_limits_what_leads_into_each_unit(layer, axis):
    """Scaling a unit's output down to the limit is the same as scaling its incoming weights."""
    with torch.no_grad():
        layer.weight.copy_(random(*layer.weight.shape, dtype=torch.float32))
    units = layer.weight.detach().movedim(axis, 0).flatten(1).clone()
    limit = float(units.norm(dim=1).sort().values[1:3].mean())  # two units are within it
    max_norm_(layer.weight, limit, axis)
    after = layer.weight.detach().movedim(axis, 0).flatten(1)
    norms = units.norm(dim=1)
    within = norms <= limit
    assert int(within.sum()) == 2
    assert torch.equal(after[within], units[within])
    torch.testing.assert_close(after[~within], units[~within] * (limit / norms[~within])[:, None])


def test_max_norm_of_stacked_models():
    w, limit = 2 * random(3, 6, 5), torch.tensor([0.5, 2.0, 100.0], dtype=torch.float64)
    got = max_norm_(w.clone(), limit.view(3, 1, 1), axis=(0, 2))
    for m in range(3):
        torch.testing.assert_close(got[m], max_norm_(w[m].clone(), limit[m].item(), axis=1))
    assert torch.equal(got[2], w[2])
    torch.testing.assert_close(got[0].norm(dim=0), torch.full((5,), 0.5, dtype=torch.float64))


@given(st.integers(1, 6), st.integers(1, 6), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.sampled_from(FLOATS))
def test_max_norm_only_shrinks(units, inputs, limit, size, dtype):
    w = (size * random(units, inputs)).clamp(-6e4, 6e4).to(dtype)
    got = max_norm_(w.clone(), limit)
    room = 1 + 4 * torch.finfo(dtype).eps
    tiny = torch.finfo(dtype).smallest_normal * inputs
    assert got.dtype == dtype
    assert bool((got.abs() <= w.abs()).all()) and bool((got * w >= 0).all())
    assert bool((got.double().norm(dim=1) <= limit * room + tiny).all())


def test_max_norm_of_16_bits_does_not_overflow():
    w = torch.full((2, 300), 600.0, dtype=torch.float16)  # the sum of squares is 1e8
    torch.testing.assert_close(max_norm_(w, 3.0).float().norm(dim=1), torch.full((2,), 3.0), rtol=1e-3, atol=0)


def test_max_norm_of_several_and_of_leaves():
    a, b = nn.Linear(8, 4), nn.Linear(4, 2)
    assert max_norm_([a.weight, b.weight], 1e-3)[1] is b.weight
    for layer in (a, b):
        assert layer.weight.requires_grad and layer.weight.is_leaf
        torch.testing.assert_close(layer.weight.detach().norm(dim=1), torch.full((layer.out_features,), 1e-3))


@pytest.mark.parametrize(
    ("weight", "max_norm", "axis", "error", "message"),
    [
        (torch.ones(2, 2), -1.0, 0, ValueError, "max_norm must not be negative, got -1.0"),
        (torch.ones(2, 2), math.nan, 0, ValueError, "max_norm must not be negative, got nan"),
        (torch.ones(2, 2), "3", 0, TypeError, "max_norm must be a float or a tensor, got str"),
        (torch.ones(2, 2), 3.0, 2, ValueError, "axis must be among the 2 axes of weight, got 2"),
        (
            torch.ones(2),
            3.0,
            0,
            ValueError,
            r"axis must leave an axis for the norm: weight has the shape \(2,\), got 0",
        ),
        (torch.ones(2, 2), 3.0, (0, -1), ValueError, "axis must leave an axis for the norm"),
        (torch.ones(2, 2, dtype=torch.int64), 3.0, 0, TypeError, "weight must be floating-point tensors"),
        (nn.Linear(2, 2), 3.0, 0, TypeError, "weight must be a tensor or an iterable of tensors, got a module"),
    ],
)
def test_max_norm_errors(weight, max_norm, axis, error, message):
    with pytest.raises(error, match=message):
        max_norm_(weight, max_norm, axis)


# --- early stopping ---------------------------------------------------------------------------------------------------


def net():
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def mark(model, number):
    """Sets every parameter and buffer to a number, so that it can be seen which check they are of."""
    with torch.no_grad():
        for value in model.state_dict().values():
            value.fill_(number)


def marks(model):
    return {float(v) for value in model.state_dict().values() for v in value.flatten()}


def run(stopping, metrics, model):
    """Returns the check at which it stopped, or None."""
    for check, metric in enumerate(metrics):
        mark(model, check)
        if stopping.step(metric, model):
            return check
    return None


@pytest.mark.parametrize("mode", ["min", "max"])
def test_stops_and_restores_parameters_and_buffers(mode):
    model, stopping = net(), EarlyStopping(patience=3, mode=mode)
    losses = [5.0, 4.0, 3.0, 3.5, 3.2, 3.0, 1.0]
    assert run(stopping, losses if mode == "min" else [-loss for loss in losses], model) == 5
    assert marks(model) == {2}
    assert stopping.best == (3.0 if mode == "min" else -3.0) and stopping.best_check == 2 and stopping.stopped


@pytest.mark.parametrize("mode", ["min", "max"])
@given(
    metrics=st.lists(st.floats(-10, 10) | st.just(math.nan), max_size=12),
    patience=st.integers(1, 4),
    min_delta=st.sampled_from([0.0, 0.5]),
)
def test_against_the_definition(mode, metrics, patience, min_delta):
    best, best_check, waited, stop = None, -1, 0, None
    for check, metric in enumerate(metrics):
        better = not math.isnan(metric) and (
            best is None or (best - metric if mode == "min" else metric - best) > min_delta
        )
        best, best_check, waited = (metric, check, 0) if better else (best, best_check, waited + 1)
        if waited == patience:
            stop = check
            break
    model, stopping = nn.Linear(1, 1), EarlyStopping(patience, min_delta, mode)
    mark(model, -1)
    assert run(stopping, metrics, model) == stop
    last = -1 if not metrics else len(metrics) - 1 if stop is None else stop
    stopping.restore(model)
    assert marks(model) == {best_check if best_check >= 0 else last}
    assert stopping.best_check == best_check


def test_nan_is_no_improvement():
    model, stopping = net(), EarlyStopping(patience=2)
    assert run(stopping, [1.0, math.nan, math.nan, 0.0], model) == 2
    assert marks(model) == {0}
    model, stopping = net(), EarlyStopping(patience=2)
    assert run(stopping, [math.nan, math.nan], model) == 1
    assert marks(model) == {1} and stopping.best_check == -1  # there is nothing better to go back to
    stopping = EarlyStopping(patience=2)
    assert run(stopping, [math.nan, 1.0, math.inf, 0.5], net()) is None
    assert stopping.best == 0.5


def test_min_delta():
    assert run(EarlyStopping(patience=2, min_delta=0.1), [1.0, 0.95, 0.91], net()) == 2
    assert run(EarlyStopping(patience=2, min_delta=0.1), [1.0, 0.95, 0.89], net()) is None


def test_the_kept_weights_are_a_copy():
    model, stopping = net(), EarlyStopping()
    mark(model, 1)
    stopping.step(1.0, model)
    mark(model, 2)
    stopping.restore(model)
    assert marks(model) == {1}
    mark(model, 3)  # what was restored is not what is kept
    stopping.restore(model)
    assert marks(model) == {1}


def test_restored_weights_are_the_parameters_of_the_optimizer():
    model, stopping = net(), EarlyStopping(patience=1)
    parameters = list(model.parameters())
    run(stopping, [1.0, 2.0], model)
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    assert all(p.requires_grad for p in parameters)


def test_goes_on_after_an_interruption():
    metrics = [3.0, 2.0, 2.5, 1.5, 1.7, 1.6, 1.8]
    for cut in range(len(metrics)):
        model, first = net(), EarlyStopping(patience=3)
        assert run(first, metrics[:cut], model) is None
        file = io.BytesIO()
        torch.save(first.state_dict(), file)
        file.seek(0)
        second = EarlyStopping(patience=3)
        second.load_state_dict(torch.load(file))
        stopped = None
        for check in range(cut, len(metrics)):
            mark(model, check)
            if second.step(metrics[check], model):
                stopped = check
                break
        assert stopped == 6 and marks(model) == {3} and second.best == 1.5 and second.checks == 7


def test_state_dict_is_a_copy():
    model, stopping = net(), EarlyStopping()
    mark(model, 1)
    stopping.step(1.0, model)
    state = stopping.state_dict()
    before = copy.deepcopy(state)
    mark(model, 2)
    stopping.step(0.5, model)
    assert state["best"] == before["best"] == 1.0
    assert all(torch.equal(state["weights"][name], before["weights"][name]) for name in before["weights"])


def test_metric_may_be_a_tensor_with_a_graph():
    model, stopping = net(), EarlyStopping()
    stopping.step(model(torch.ones(3, 2)).sum(), model)
    assert isinstance(stopping.best, float)
    assert math.isnan(EarlyStopping().best) and EarlyStopping().best_check == -1 and EarlyStopping().stopped is False


class Stack(nn.Module):
    def __init__(self, models):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(models, 2, 3))
        self.register_buffer("seen", torch.zeros(models))


@given(
    st.lists(st.lists(st.floats(0, 3) | st.just(math.nan), min_size=3, max_size=3), min_size=1, max_size=10),
    st.integers(1, 3),
)
def test_stacked_models_stop_as_if_alone(metrics, patience):
    stack, together = Stack(3), EarlyStopping(patience)
    stopped = run(together, torch.tensor(metrics, dtype=torch.float64), stack)
    together.restore(stack)
    stops = []
    for m in range(3):
        model, alone = nn.Linear(1, 1), EarlyStopping(patience)
        stops.append(run(alone, [row[m] for row in metrics], model))
        alone.restore(model)
        assert together.best_check[m] == alone.best_check
        assert bool(together.stopped[m]) == alone.stopped
        if alone.best_check >= 0:
            assert bool((stack.w[m] == marks(model).pop()).all()) and stack.seen[m] == alone.best_check
    assert stopped == (None if None in stops else max(stops))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"patience": 0}, ValueError, "patience must be at least 1, got 0"),
        ({"patience": 1.5}, TypeError, "patience must be an int, got float"),
        ({"patience": True}, TypeError, "patience must be an int, got bool"),
        ({"min_delta": -1.0}, ValueError, "min_delta must not be negative, got -1.0"),
        ({"mode": "auto"}, ValueError, 'mode must be "min" or "max", got \'auto\''),
    ],
)
def test_early_stopping_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        EarlyStopping(**arguments)


def test_metric_errors():
    stopping = EarlyStopping()
    with pytest.raises(ValueError, match=r"metric must be a number or have the shape \(models,\), got \(2, 2\)"):
        stopping.step(torch.ones(2, 2), Stack(2))
    stopping.step(torch.ones(2), Stack(2))
    with pytest.raises(ValueError, match=r"metric must have the shape \(2,\), got \(\)"):
        stopping.step(1.0, Stack(2))
    with pytest.raises(ValueError, match="model must have a leading axis of 3 models in 'w'"):
        EarlyStopping().step(torch.ones(3), Stack(2))
