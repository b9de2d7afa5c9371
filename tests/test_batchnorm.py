"""Variance shift: closed forms against integrals and simulation, measurement without a trace, exact recalibration.

Statistical tests use fixed generators and 4.5 standard errors: a right package fails one comparison with 7e-6, and any
of the 40 or so here with 3e-4.
"""

import copy
import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from companion import Dropout, VanillaDropout
from companion.batchnorm import measure_shift, moments, predicted_shift, recalibrate

LIMIT = 4.5
ACTIVATIONS = {"identity": nn.Identity(), "relu": nn.ReLU(), "gelu": nn.GELU()}


def random(*shape, dtype=torch.float64, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def assert_mean(values, expected):
    """The mean of independent estimates (one a channel) is what it must be, by their own standard error."""
    error = values.std() / math.sqrt(len(values))
    assert abs(values.mean() - expected) < LIMIT * error, f"{values.mean()} ± {error} for {expected}"


# --- predicted --------------------------------------------------------------------------------------------------------


def test_the_ratio_of_a_relu_at_one_half_is_0_405():
    assert predicted_shift(0.5, "relu") == pytest.approx(0.405, abs=5e-4)
    assert 1 / predicted_shift(0.5, "relu") == pytest.approx(2.466, abs=1e-3)
    assert predicted_shift(0.5, "relu") != pytest.approx(0.5, abs=0.05)  # 1 - p holds for units of zero mean only


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("relu", {0.1: 0.860, 0.2: 0.732, 0.3: 0.614, 0.5: 0.405, 0.7: 0.226, 0.8: 0.146}),
        ("gelu", {0.1: 0.880, 0.5: 0.448}),
        ("identity", {0.1: 0.9, 0.5: 0.5, 0.8: 0.2}),
    ],
)
def test_worked_numbers(activation, expected):
    for p, ratio in expected.items():
        assert predicted_shift(p, activation) == pytest.approx(ratio, abs=5e-4)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("identity", lambda x: x),
        ("relu", lambda x: max(x, 0.0)),
        ("gelu", lambda x: x * stats.norm.cdf(x)),
    ],
)
def test_moments_against_numerical_integrals(activation, function):
    def expectation(f):
        parts = [
            integrate.quad(lambda x: f(x) * math.exp(-x * x / 2) / math.sqrt(2 * math.pi), *span, epsabs=1e-13)[0]
            for span in ((-12, 0), (0, 12))  # the kink of a ReLU lies at an end
        ]
        return sum(parts)

    mean, variance = moments(activation)
    assert mean == pytest.approx(expectation(function), abs=1e-11)
    assert variance + mean**2 == pytest.approx(expectation(lambda x: function(x) ** 2), abs=1e-11)


@given(st.floats(0.01, 0.99), st.floats(-5, 5), st.floats(0.01, 10))
def test_any_mean_makes_the_shift_worse(p, mean, variance):
    ratio = predicted_shift(p, mean=mean, variance=variance)
    assert 0 < ratio <= (1 - p) * (1 + 1e-12)
    assert ratio == pytest.approx(variance / ((mean**2 + variance) / (1 - p) - mean**2))
    assert ratio == pytest.approx(predicted_shift(p, mean=3 * mean, variance=9 * variance))  # no unit of measurement


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_ends(activation):
    assert predicted_shift(0.0, activation) == 1.0
    assert predicted_shift(0, activation) == 1.0
    assert predicted_shift(1.0, activation) == math.inf  # a layer lets nothing through then
    assert predicted_shift(1 - 1e-9, activation) < 1e-8
    assert math.isnan(predicted_shift(1.0, mean=1.0, variance=0.0))
    assert predicted_shift(0.5, mean=1.0, variance=0.0) == 0.0  # a constant becomes noise


def test_tensors_broadcast():
    p = torch.tensor([0.1, 0.5])[:, None]
    mean, variance = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 2.0, 0.5])
    got = predicted_shift(p, mean=mean, variance=variance)
    assert got.shape == (2, 3) and got.dtype == torch.float64
    for i, j in itertools.product(range(2), range(3)):
        one = predicted_shift(p[i].item(), mean=mean[j].item(), variance=variance[j].item())
        assert isinstance(one, float) and got[i, j] == pytest.approx(one)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 1.0])
def test_linear_layer_against_the_covariance_matrix(p, correlation):
    """The variance of a weighted sum is w'Cw; the masks add p/(1-p) times the mean squares to C's diagonal."""
    w, mean = random(4, 7), random(7, seed=2)
    variance = random(7, seed=3) ** 2
    sd = variance.sqrt()
    covariance = correlation * sd[:, None] * sd + (1 - correlation) * torch.diag(variance)
    masked = covariance + p / (1 - p) * torch.diag(mean**2 + variance)
    expected = torch.einsum("ui,ij,uj->u", w, covariance, w) / torch.einsum("ui,ij,uj->u", w, masked, w)
    got = predicted_shift(p, mean=mean, variance=variance, weight=w, correlation=correlation)
    torch.testing.assert_close(got, expected)


def test_linear_layer_depends_on_the_weights_through_one_number():
    """With A = (sum w)^2 / sum w^2; without correlation it is that of a single unit, whatever the width."""
    w, p, rho = random(9, 30).abs(), 0.5, 0.1
    c, v = moments("relu")
    spread = rho * v * (w.sum(1) ** 2 / (w**2).sum(1) - 1)
    expected = (v + spread) / ((c**2 + v) / (1 - p) - c**2 + spread)
    torch.testing.assert_close(predicted_shift(p, "relu", weight=w, correlation=rho), expected)
    alone = torch.full((9,), predicted_shift(p, "relu"), dtype=torch.float64)
    torch.testing.assert_close(predicted_shift(p, "relu", weight=w), alone)
    widths = [predicted_shift(p, "relu", weight=torch.ones(d), correlation=rho).item() for d in (1, 8, 64, 512, 4096)]
    assert widths == sorted(widths) and widths[0] == pytest.approx(predicted_shift(p, "relu")) and widths[-1] > 0.99


def test_dropout_belongs_before_the_mean_over_positions():
    """Kim et al. (2023): 49 independent positions averaged before the dropout leave mean without variance."""
    c, v = moments("relu")
    before = predicted_shift(0.2, mean=c, variance=v, weight=torch.full((49,), 1 / 49)).item()
    after = predicted_shift(0.2, mean=c, variance=v / 49)
    assert before == pytest.approx(predicted_shift(0.2, "relu")) and before > 5 * after
    x = random(4000, 49, 64).relu()
    drop = Dropout(0.2)
    torch.manual_seed(0)
    assert_mean((x.mean(1).var(0) / drop(x).mean(1).var(0)), before)
    assert_mean((x.mean(1).var(0) / drop(x.mean(1)).var(0)), after)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"p": 1.3, "activation": "relu"}, ValueError, r"p must be in \[0, 1\], got 1.3"),
        ({"p": 0.5}, ValueError, "give either activation, or variance"),
        ({"p": 0.5, "mean": 1.0}, ValueError, "give either activation, or variance"),
        ({"p": 0.5, "activation": "relu", "variance": 1.0}, ValueError, "give either activation, or variance"),
        ({"p": 0.5, "activation": "relu", "mean": 1.0}, ValueError, "give either activation, or variance"),
        ({"p": 0.5, "activation": "tanh"}, ValueError, "activation must be one of .*, got 'tanh'"),
        ({"p": 0.5, "variance": -1.0}, ValueError, "variance must not be negative, got -1.0"),
        ({"p": 0.5, "variance": math.nan}, ValueError, "variance must not be negative, got nan"),
        ({"p": 0.5, "variance": "1"}, TypeError, "variance must be a float or a tensor, got str"),
        ({"p": 0.5, "variance": 1.0, "correlation": 2.0}, ValueError, r"correlation must be in \[-1, 1\], got 2.0"),
        ({"p": 0.5, "variance": 1.0, "correlation": 0.5}, ValueError, "correlation needs weight"),
        ({"p": 0.5, "variance": 1.0, "weight": 2.0}, TypeError, r"weight must be a Tensor\[..., inputs\], got 2.0"),
    ],
)
def test_prediction_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        predicted_shift(**arguments)


# --- measured ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_measured_is_predicted(activation, p):
    model = nn.Sequential(ACTIVATIONS[activation], Dropout(p), nn.BatchNorm1d(100)).double()
    torch.manual_seed(0)
    (row,) = measure_shift(model, [random(10_000, 100, seed=seed) for seed in (1, 2)])
    assert row.name == "2" and row.count == 20_000
    assert_mean(row.ratios, predicted_shift(p, activation))
    assert row.ratio == pytest.approx(predicted_shift(p, activation), rel=0.02)
    mean, variance = moments(activation)
    assert_mean(row.mean_on, mean)
    assert_mean(row.mean_off, mean)
    assert_mean(row.variance_off, variance)
    assert row.mean_shift < 0.03  # inverted dropout keeps the mean
    # In a new layer the stored variance is 1, so that this is the variance itself.
    assert row.running_ratio == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize("correlation", [0.0, 0.1])
def test_measured_behind_a_wide_linear_layer(correlation):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(256, 100, bias=False), nn.BatchNorm1d(100)).double()
    with torch.no_grad():
        model[1].weight.abs_()
    x = correlation**0.5 * random(20_000, 1) + (1 - correlation) ** 0.5 * random(20_000, 256, seed=2)
    (row,) = measure_shift(model, [x])
    expected = predicted_shift(0.5, "identity", weight=model[1].weight, correlation=correlation)
    # The outputs share their inputs, so that their errors are not independent: a bound for each.
    assert bool(((row.ratios / expected - 1).abs() < 0.05).all())
    assert (row.ratio < 0.55) == (correlation == 0) and (row.ratio > 0.9) == (correlation > 0)


def test_vanilla_dropout_halves_nothing_at_evaluation_but_the_scale():
    """With m x in training and (1 - p) x at evaluation the ratio is the same as with inverted dropout."""
    model = nn.Sequential(nn.ReLU(), VanillaDropout(0.5), nn.BatchNorm1d(100)).double()
    (row,) = measure_shift(model, [random(20_000, 100)])
    assert_mean(row.ratios, predicted_shift(0.5, "relu"))
    assert_mean(row.variance_off, moments("relu")[1] / 4)


def block(p, order):
    """Two blocks in one of three orders, with statistics of dropout on in the BatchNorms."""
    drop = lambda: nn.Dropout(p)  # noqa: E731
    norm, relu = (lambda: nn.BatchNorm1d(64)), nn.ReLU
    torch.manual_seed(1)
    first = {"before": [drop(), norm()], "after": [norm(), drop()], "head": [norm()]}[order]
    second = {"before": [drop(), norm()], "after": [norm(), drop()], "head": [norm(), drop()]}[order]
    model = nn.Sequential(nn.Linear(64, 64), relu(), *first, nn.Linear(64, 64), relu(), *second, nn.Linear(64, 10))
    x = random(20, 500, 64, dtype=torch.float32).unbind()
    for batch in x + x + x:
        model(batch)
    return model, x


def test_three_orders():
    """Dropout after a BatchNorm does nothing to that one; it does to the next. After the last it does to none."""
    shifts = {order: measure_shift(*block(0.5, order)) for order in ("before", "after", "head")}
    assert all(len(rows) == 2 for rows in shifts.values())
    first, second = shifts["before"]
    assert 0.3 < first.ratio < 0.5 and second.ratio < 0.5
    assert 0.3 < first.running_ratio < 0.5  # what the layer stored in training is the variance with dropout on
    first, second = shifts["after"]
    assert bool((first.ratios == 1).all()) and first.ratio == 1.0 and first.mean_shift == 0.0
    assert second.ratio < 0.85
    for row in shifts["head"]:
        assert bool((row.ratios == 1).all())
        assert row.running_ratio == pytest.approx(1, abs=0.05)


def test_channels_that_never_vary_are_left_out():
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4)).double()
    x = random(64, 4)
    x[:, :3] = 0  # three dead channels of four: a median that counted them would be theirs
    (row,) = measure_shift(model, [x])
    assert row.ratio > 0.2 and row.running_ratio == pytest.approx(float(x[:, 3].var()), rel=1e-5)


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.BatchNorm1d, (16, 3)),
        (nn.BatchNorm1d, (16, 3, 5)),
        (nn.BatchNorm2d, (16, 3, 4, 5)),
        (nn.BatchNorm3d, (16, 3, 2, 4, 5)),
        (nn.SyncBatchNorm, (16, 3, 4, 5)),
        (lambda c: nn.BatchNorm2d(c, track_running_stats=False), (16, 3, 4, 5)),
        (lambda c: nn.BatchNorm2d(c, affine=False, momentum=None), (16, 3, 4, 5)),
    ],
)
def test_moments_are_those_of_all_batches_together(norm, shape):
    """Batches of different size and mean: the distances between their means belong to the variance."""
    model = nn.Sequential(nn.Dropout(0.5), norm(3)).double()
    batches = [random(*shape), random(1, *shape[1:]) + 7, random(0, *shape[1:]), random(5, *shape[1:]) - 3]
    (row,) = measure_shift(model, batches)
    together = torch.cat(batches).movedim(1, 0).flatten(1)
    assert row.count == together.shape[1]
    torch.testing.assert_close(row.mean_off, together.mean(1))
    torch.testing.assert_close(row.variance_off, together.var(1))
    assert row.name == "1"
    assert (row.running_variance is None) == (model[1].running_var is None) == math.isnan(row.running_ratio)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_narrow_inputs_with_a_large_mean(dtype):
    """A sum of squares in 16 bits would overflow, and one in 32 would lose the variance beside the mean."""
    x = (random(4000, 3) + 100).to(dtype)
    (row,) = measure_shift(nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3).to(dtype)), x.split(100))
    torch.testing.assert_close(row.variance_off, x.double().var(0), rtol=1e-4, atol=0)


def test_a_layer_called_twice_and_one_never_called():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.shared, self.idle = nn.Dropout(0.5), nn.BatchNorm1d(3), nn.BatchNorm1d(3)

        def forward(self, x):
            return self.shared(input=self.drop(self.shared(x)))  # by keyword too

    x = random(50, 3)
    shared, idle = measure_shift(Net().double(), [x])
    assert shared.name == "shared" and shared.count == 100
    assert idle.name == "idle" and idle.count == 0
    assert math.isnan(idle.ratio) and math.isnan(idle.mean_shift)


def test_channels_that_never_vary_are_left_out_of_the_median():
    x = random(2000, 3)
    x[:, 1] = 0
    (row,) = measure_shift(nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3)).double(), [x])
    assert math.isnan(row.ratios[1]) and row.ratio == pytest.approx(0.5, rel=0.1)


# --- forms of batches -------------------------------------------------------------------------------------------------


def forms(x):
    y = torch.zeros(len(x))
    pairs = list(zip(x.split(30), y.split(30), strict=True))
    return {
        "tensors": (x.split(30), None),
        "pairs": (pairs, None),
        "lists": ([list(pair) for pair in pairs], None),
        "several inputs": ([((part,), target) for part, target in pairs], None),
        "loader": (DataLoader(TensorDataset(x, y), batch_size=30), None),
        "iterator": (iter(pairs), None),
        "generator": ((part for part in x.split(30)), None),
        "forward": ([{"pixels": part} for part in x.split(30)], lambda model, batch: model(batch["pixels"])),
    }


@pytest.mark.parametrize("form", list(forms(torch.zeros(1, 1))))
def test_forms_of_batches(form):
    model, x = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(4)), random(100, 4, dtype=torch.float32)
    batches, forward = forms(x)[form]
    (row,) = measure_shift(model, batches, forward=forward)
    torch.testing.assert_close(row.variance_off, x.double().var(0), rtol=1e-5, atol=0)
    assert row.ratio < 1
    batches, forward = forms(x)[form]
    assert recalibrate(model, batches, forward=forward) == ["1"]
    torch.testing.assert_close(model[1].running_var, x.var(0))
    if form not in ("iterator", "generator"):
        assert recalibrate(model, batches, forward=forward, exact=True) == ["1"]


def test_a_model_that_works_in_place_sees_the_same_batch_twice():
    model = nn.Sequential(nn.Dropout(0.5, inplace=True), nn.BatchNorm1d(100)).double()
    (row,) = measure_shift(model, [random(5000, 100)])
    assert_mean(row.variance_off, 1.0)
    assert_mean(row.ratios, 0.5)


FUNCTIONS = [measure_shift, recalibrate]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(
    ("model", "batches", "error", "message"),
    [
        ("relu", [torch.ones(2, 3)], TypeError, "model must be a torch.nn.Module, got str"),
        (nn.BatchNorm1d(3), torch.ones(5, 2, 3), TypeError, "batches must be an iterable of batches, got one tensor"),
        (nn.BatchNorm1d(3), 5, TypeError, "batches must be an iterable of batches, got int"),
        (nn.BatchNorm1d(3), [], ValueError, "batches must hold at least one batch, got none"),
        (nn.BatchNorm1d(3), iter(()), ValueError, "batches must hold at least one batch, got none"),
        (nn.BatchNorm1d(3), [torch.ones(0, 3)], ValueError, "model must call a BatchNorm"),
    ],
)
@pytest.mark.filterwarnings("ignore:model has no dropout")
def test_errors_of_arguments(function, model, batches, error, message):
    with pytest.raises(error, match=message):
        function(model, batches)


def test_errors_of_recalibrate():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    before = copy.deepcopy(model.state_dict())
    for batches, exact, error, message in [
        (iter([torch.ones(4, 3)]), True, TypeError, "batches must be a list or a loader if exact, got an iterator"),
        ([torch.ones(1, 3)], False, ValueError, "batches must give '1' 2 or more elements a channel, got 1"),
        ([torch.full((4, 3), math.inf)], False, ValueError, "batches must be finite where they reach '1'"),
        ([torch.full((4, 3), math.nan)], True, ValueError, "batches must be finite where they reach '1'"),
    ]:
        with pytest.raises(error, match=message):
            recalibrate(model, batches, exact=exact)
        assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_model_without_batchnorm():
    model = nn.Sequential(nn.Dropout(0.5), nn.LayerNorm(3))
    assert measure_shift(model, [torch.ones(4, 3)]) == []
    assert recalibrate(model, [torch.ones(4, 3)]) == []


def test_no_dropout_is_said():
    with pytest.warns(UserWarning, match="model has no dropout that can be switched on"):
        (row,) = measure_shift(nn.BatchNorm1d(3), [random(10, 3, dtype=torch.float32)])
    assert row.ratio == 1.0 and row.name == ""


# --- nothing left changed ---------------------------------------------------------------------------------------------


class Counter(nn.Module):
    """Changes a buffer in place, replaces another, and draws a random number, whatever its mode."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("last", torch.zeros(()), persistent=False)

    def forward(self, x):
        self.calls += 1
        self.last = torch.rand(())
        return x


def lived_in_model():
    """A model in the middle of training: mixed flags, gradients, hooks, a user-made train()."""

    class Net(nn.Sequential):
        def train(self, mode=True):
            raise AssertionError("train() of the model was called")

    model = Net(
        nn.Linear(6, 5),
        nn.BatchNorm1d(5),
        nn.ReLU(),
        Dropout(0.5),
        Counter(),
        nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5, momentum=None), nn.Dropout(0.3)),
        nn.BatchNorm1d(5, track_running_stats=False),
        nn.Linear(5, 2),
    )
    model(random(20, 6, dtype=torch.float32)).sum().backward()
    for module in (model[3], model[5][1], model[7]):
        module.training = False
    return model


def state(model):
    return {
        "parameters": [value.detach().clone() for value in model.parameters()],
        "buffers": {name: value.clone() for name, value in model.named_buffers()},
        "objects": [id(value) for value in (*model.parameters(), *model.buffers())],
        "versions": [value._version for value in model.parameters()],
        "flags": [module.training for module in model.modules()],
        "grads": [parameter.grad.clone() for parameter in model.parameters()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "hooks": [len(module._forward_pre_hooks) + len(module._forward_hooks) for module in model.modules()],
        "momenta": [module.momentum for module in model.modules() if isinstance(module, nn.BatchNorm1d)],
        "random": torch.get_rng_state(),
        "grad mode": torch.is_grad_enabled(),
    }


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@pytest.mark.parametrize("function", [measure_shift, recalibrate, lambda *args: recalibrate(*args, exact=True)])
@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_changed(function, fails):
    model = lived_in_model()
    before = state(model)
    batches = [random(20, 6, dtype=torch.float32, seed=seed) for seed in range(3)]
    if fails:
        with pytest.raises(RuntimeError):
            function(model, [*batches, torch.ones(20, 7)])
    else:
        function(model, batches)
    after = state(model)
    for key in before.keys() - {"buffers"}:
        assert same(before[key], after[key]), key
    changed = {name for name, value in before["buffers"].items() if not torch.equal(value, after["buffers"][name])}
    calibrated = {f"{layer}.{name}" for layer in ("1", "5.1") for name in STATISTICS}
    assert changed == (set() if fails or function is measure_shift else calibrated)


def test_mode_train_under_no_grad_moves_what_this_does_not():
    """The usual recipe for statistics with dropout on, ``model.train()`` and no gradient, overwrites the buffers."""
    model, x = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3)).eval(), random(64, 3, dtype=torch.float32) + 5
    before = copy.deepcopy(model.state_dict())
    measure_shift(model, [x])
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    with torch.no_grad():
        model.train()(x)
    assert not torch.equal(before["1.running_mean"], model[1].running_mean)


def test_a_graph_that_waits_for_backward_is_not_disturbed():
    model, x = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3)).eval(), random(64, 3, dtype=torch.float32)
    loss = model(x).square().sum()  # keeps the running statistics
    measure_shift(model, [x])
    loss.backward()


def test_a_second_call_draws_the_same_masks():
    model, x = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3)), random(64, 3, dtype=torch.float32)
    (first,), (second,) = measure_shift(model, [x, x]), measure_shift(model, [x, x])
    assert torch.equal(first.variance_on, second.variance_on)
    (once,) = measure_shift(model, [x])  # each batch has masks of its own
    assert not torch.allclose(first.mean_on, once.mean_on, rtol=1e-3)


def test_a_compiled_model_is_looked_into():
    model, x = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3)), random(64, 3, dtype=torch.float32)
    compiled = torch.compile(model, backend="eager")
    compiled(x)
    (row,) = measure_shift(compiled, [x])
    assert row.count == 64 and row.name == "1"
    assert recalibrate(compiled, [x]) == ["1"]
    torch.testing.assert_close(model[1].running_mean, x.mean(0))


@pytest.mark.filterwarnings("ignore:model has no dropout")
def test_dropout_out_of_reach_is_said_and_can_be_named():
    class Block(nn.Module):
        def forward(self, x):
            return nn.functional.dropout(x, 0.5, self.training)

    model, x = nn.Sequential(Block(), nn.BatchNorm1d(50)).double(), random(5000, 50)
    with pytest.warns(UserWarning, match="stays off: '0'"):
        (row,) = measure_shift(model, [x])
    assert row.ratio == 1.0
    (row,) = measure_shift(model, [x], also=[Block])
    assert_mean(row.ratios, 0.5)


# --- recalibrate ------------------------------------------------------------------------------------------------------


def deep(p=0.5, **options):
    """Three BatchNorms, one of them behind a convolution, in double precision."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4, **options),
        nn.ReLU(),
        nn.Dropout2d(p),
        nn.Conv2d(4, 4, 3),
        nn.BatchNorm2d(4, **options),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(p),
        nn.Linear(16, 6),
        nn.BatchNorm1d(6, **options),
        nn.Linear(6, 2),
    ).double()


def uneven(seed=1):
    """Batches of different sizes and means, so that an average over batches is not what all examples give."""
    x = random(60, 2, 6, 6, seed=seed)
    return [x[:7] + 2, x[7:10] - 1, x[10:11], x[11:]]


NORMS = {"1": 1, "5": 5, "10": 10}


def test_first_layer_has_the_statistics_of_one_huge_batch():
    model, reference = deep(), deep(momentum=1.0)
    for layer in reference.modules():
        layer.training = isinstance(layer, nn.BatchNorm2d)
    reference(torch.cat(uneven()))
    assert recalibrate(model, uneven()) == list(NORMS)
    torch.testing.assert_close(model[1].running_mean, reference[1].running_mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model[1].running_var, reference[1].running_var, rtol=1e-12, atol=1e-12)
    # What torch's own cumulative average does (momentum None) is off: it averages variances within batches.
    averaged = deep(momentum=None)
    for layer in averaged.modules():
        layer.training = isinstance(layer, nn.BatchNorm2d)
    for batch in uneven():
        averaged(batch)
    assert not torch.allclose(averaged[1].running_var, reference[1].running_var, rtol=0.1)


def test_exact_gives_every_layer_what_it_meets_at_evaluation():
    model, outputs = deep(), {}
    assert recalibrate(model, uneven(), exact=True) == list(NORMS)
    for name, index in NORMS.items():
        model[index].register_forward_hook(lambda layer, args, y, name=name: outputs.update({name: y}))
    model.eval()(torch.cat(uneven()))
    for y in outputs.values():
        channels = y.detach().movedim(1, 0).flatten(1)
        torch.testing.assert_close(channels.mean(1), torch.zeros(len(channels)).double(), rtol=0, atol=1e-12)
        # eps = 1e-5 stands beside a variance that is not small here
        torch.testing.assert_close(channels.var(1), torch.ones(len(channels)).double(), rtol=1e-2, atol=0)
    for row in measure_shift(model, uneven()):
        torch.testing.assert_close(row.variance_off, row.running_variance, rtol=1e-10, atol=0)
        assert row.running_ratio == pytest.approx(1, abs=1e-10)


def test_exact_is_one_huge_batch_of_the_whole_network():
    model, reference = deep(), deep()
    recalibrate(model, uneven(), exact=True)
    recalibrate(reference, [torch.cat(uneven())], exact=True)
    torch.manual_seed(0)
    single = deep()
    recalibrate(single, [torch.cat(uneven())])  # with one batch, one pass is exact
    for name, value in model.state_dict().items():
        if "num" not in name:
            torch.testing.assert_close(value, reference.state_dict()[name], rtol=1e-10, atol=1e-12)
            torch.testing.assert_close(value, single.state_dict()[name], rtol=1e-10, atol=1e-12)


def test_one_pass_is_close_with_large_random_batches():
    x = random(2000, 2, 6, 6)
    model, exact = deep(), deep()
    recalibrate(model, x.split(200))
    recalibrate(exact, x.split(200), exact=True)
    for index in NORMS.values():
        torch.testing.assert_close(model[index].running_var, exact[index].running_var, rtol=0.05, atol=0)


def test_dropout_is_off():
    with_dropout, without = deep(p=0.5), deep(p=0.0)
    recalibrate(with_dropout.train(), uneven())
    recalibrate(without, uneven())
    for (name, a), (_, b) in zip(with_dropout.state_dict().items(), without.state_dict().items(), strict=True):
        assert torch.equal(a, b), name


def test_recalibration_removes_the_shift_and_leaves_the_weights():
    model, x = block(0.5, "before")
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    before = [row.running_ratio for row in measure_shift(model, x)]
    recalibrate(model, x, exact=True)
    after = [row.running_ratio for row in measure_shift(model, x)]
    assert max(before) < 0.6 and after == pytest.approx([1, 1], abs=1e-3)
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    assert model[3].num_batches_tracked == 20 and model[3].momentum == 0.1


@given(st.lists(st.integers(1, 39), max_size=5), st.booleans())
def test_statistics_do_not_depend_on_how_examples_are_cut(cuts, reverse):
    x = random(40, 3) * torch.tensor([1.0, 100.0, 0.01]) + torch.tensor([0.0, 1e4, -1.0])
    model = nn.BatchNorm1d(3).double()
    parts = torch.tensor_split(x, sorted(cuts))  # empty ones among them
    recalibrate(model, parts[::-1] if reverse else parts)
    torch.testing.assert_close(model.running_mean, x.mean(0), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.running_var, x.var(0), rtol=1e-8, atol=0)


def test_layers_without_statistics_or_calls_are_passed_over():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.idle, self.loose = nn.BatchNorm1d(3), nn.BatchNorm1d(3, track_running_stats=False)
            self.second, self.first = nn.BatchNorm1d(3), nn.BatchNorm1d(3)

        def forward(self, x):
            return self.second(self.loose(self.first(x)))

    model = Net()
    assert recalibrate(model, [random(10, 3, dtype=torch.float32)]) == ["first", "second"]
    assert bool((model.idle.running_var == 1).all()) and model.idle.num_batches_tracked == 0


def test_batches_of_one_example():
    """In training mode a BatchNorm refuses a single element; the statistics of the batches so far can be had."""
    model, x = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU(), nn.BatchNorm1d(3)).double(), random(200, 3)
    recalibrate(model, x.split(1))
    torch.testing.assert_close(model[0].running_var, x.var(0))
    assert bool(model[2].running_var.isfinite().all())
    torch.testing.assert_close(model[2].running_mean, torch.full((3,), 0.4).double(), rtol=0.2, atol=0)
