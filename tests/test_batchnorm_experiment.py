"""Chapter 11's networks and measurements: a stack is as many networks of torch, the formula, the swaps; tiny sizes."""

import math

import pytest
import torch
from torch import nn

from companion.batchnorm import measure_shift, predicted_shift
from companion.data import digits
from companion.experiments.batchnorm import (
    NORMS,
    SWAPS,
    THREE_ORDERS,
    _predicted,
    _ratios,
    _swapped,
    activations,
    arm_of,
    behind_a_linear_layer,
    clean,
    confident,
    directly_behind,
    noisy,
    pooled,
)
from companion.experiments.protocol import load
from companion.layers.dropout import Dropout
from companion.models import ORDERS, StackedBatchNormMLP
from companion.training import adam, evaluate, train
from companion.widgets.batchnorm import shift_figure


def stack(order="norm first", p=(0.0, 0.5), seeds=(3, 4), **options):
    return StackedBatchNormMLP((64, 7, 5, 10), seeds, p, order=order, **options)


def images(seeds=2, n=20, seed=0):
    return torch.rand(seeds, n, 64, generator=torch.Generator().manual_seed(seed))


# ---- the stacked network ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_stack_is_as_many_networks_of_torch(order, activation):
    together = stack(order, p=(0.0, 0.0), activation=activation)
    alone = [together.single(m).train() for m in range(4)]
    x = images()
    for _ in range(3):  # statistics of the batch, and what is stored of them
        y = together.train()(x)
        for m, net in enumerate(alone):
            torch.testing.assert_close(y[m], net(x[m % 2]), rtol=1e-4, atol=1e-5)
    y = together.eval()(x)
    for m, net in enumerate(alone):
        torch.testing.assert_close(y[m], net.eval()(x[m % 2]), rtol=1e-4, atol=1e-5)
        for copied, kept in zip(together.single(m).state_dict().items(), net.state_dict().items(), strict=True):
            if not copied[0].endswith("tracked"):
                torch.testing.assert_close(copied[1], kept[1], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(together(x.repeat(2, 1, 1)), y)


@pytest.mark.parametrize(
    ("order", "kinds"),
    [
        ("dropout first", "Linear ReLU Dropout BatchNorm1d Linear ReLU Dropout BatchNorm1d Linear"),
        ("dropout inside", "Linear Dropout BatchNorm1d ReLU Linear Dropout BatchNorm1d ReLU Linear"),
        ("norm first", "Linear BatchNorm1d ReLU Dropout Linear BatchNorm1d ReLU Dropout Linear"),
        ("head only", "Linear BatchNorm1d ReLU Linear BatchNorm1d ReLU Dropout Linear"),
    ],
)
def test_the_order_of_the_layers(order, kinds):
    net = stack(order).single(3)
    assert " ".join(type(layer).__name__ for layer in net) == kinds
    assert {layer.p for layer in net if isinstance(layer, Dropout)} == {0.5}
    assert not any(layer.training for layer in net.modules())


@pytest.mark.parametrize("order", ORDERS)
def test_dropout_acts_in_training_only_and_on_its_own_arm(order):
    net = stack(order, momentum=1e-9)
    x = images()
    net.generator = torch.Generator().manual_seed(1)
    one, two = net.train()(x), net(x)
    assert torch.equal(one[:2], two[:2]) and not torch.equal(one[2:], two[2:])
    net.eval()
    assert torch.equal(net(x), net(x))
    plain = stack(order, p=(0.0,)).eval()
    torch.testing.assert_close(stack(order).eval()(x)[2:], plain(x))  # arms start from the same weights


def test_it_trains_and_an_arm_does_not_change_its_neighbour():
    task = digits([0, 1], n_train=150, n_test=150)
    nets = [StackedBatchNormMLP((64, 16, 10), [0, 1], p) for p in ((0.0,), (0.0, 0.5))]
    for net in nets:
        train(net, task.train, steps=25, batch=25, optimizer=adam(1e-2))
    test = task.test.open()
    first, second = (evaluate(net, test) for net in nets)
    torch.testing.assert_close(first["nll"][0], second["nll"][0], rtol=1e-3, atol=1e-4)
    assert float(first["accuracy"].min()) > 0.5


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"widths": (64, 10)}, "widths must hold inputs, hidden units and outputs"),
        ({"order": "both"}, "order must be one of"),
        ({"activation": "elu"}, "activation must be one of"),
        ({"p": (1.5,)}, "p must be in"),
    ],
)
def test_bad_arguments_are_named(changed, message):
    given = {"widths": (64, 5, 10), "seeds": (0,), "p": (0.5,)} | changed
    with pytest.raises(ValueError, match=message):
        StackedBatchNormMLP(given.pop("widths"), given.pop("seeds"), given.pop("p"), **given)
    with pytest.raises(ValueError, match=r"model must be in \[0, 3\], got 4"):
        stack().single(4)


# ---- one layer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("activation", "expected"), [("identity", 0.5), ("relu", 0.405), ("gelu", 0.448)])
def test_the_ratio_directly_behind_a_dropout(activation, expected):
    assert directly_behind(activation, 0.5, n=400_000) == pytest.approx(expected, abs=0.006)


def test_a_wide_layer_with_correlated_inputs_suffers_less():
    ones = torch.ones(64)
    predicted, measured = behind_a_linear_layer(ones, 0.1, 0.5, n=20_000)
    assert predicted == pytest.approx((1 + 0.1 * 63) / (2 + 0.1 * 63), abs=1e-9)
    assert measured == pytest.approx(predicted, abs=0.02)
    assert behind_a_linear_layer(torch.ones(8), 0.0, 0.5, n=10)[0] == pytest.approx(0.5, abs=1e-9)
    signs = torch.tensor([1.0, -1.0]).repeat(32)  # what is common to the inputs cancels
    assert behind_a_linear_layer(signs, 0.5, 0.5, n=10)[0] == pytest.approx(0.5 / 1.5, abs=1e-9)


def test_dropout_behind_a_pool_shifts_more():
    found = pooled(0.2, n=20_000)
    v = 1 / 2 - 1 / (2 * math.pi)
    assert found["before"][0] == pytest.approx(v / (v + 0.25 * 0.5), abs=1e-6)
    c = 1 / (2 * math.pi)
    assert found["after"][0] == pytest.approx((v / 49) / ((c + v / 49) / 0.8 - c), abs=1e-9)
    for predicted, measured in found.values():
        assert measured == pytest.approx(predicted, rel=0.04)


# ---- trained networks ------------------------------------------------------------------------------------------------


def test_the_prediction_is_that_of_the_formula_at_every_batchnorm():
    """In a network whose only dropout stands before the BatchNorm, prediction and measurement must agree."""
    x = torch.randn(4000, 64, generator=torch.Generator().manual_seed(0))  # so that no unit is nearly always off
    torch.manual_seed(0)
    direct = nn.Sequential(nn.Linear(64, 40), nn.ReLU(), Dropout(0.5), nn.BatchNorm1d(40)).eval()
    through = nn.Sequential(nn.Linear(64, 40), nn.ReLU(), Dropout(0.3), nn.Linear(40, 30), nn.BatchNorm1d(30)).eval()
    for net, p in ((direct, 0.5), (through, 0.3)):
        with torch.no_grad():
            (predicted,) = _predicted(net, x, p)
        (row,) = measure_shift(net, [x])
        assert predicted == pytest.approx(row.ratio, rel=0.04)
    with torch.no_grad():
        assert _predicted(stack("head only").single(2), x, 0.5) == [1.0, 1.0]


def test_swaps_change_what_they_say():
    net, x = stack("norm first").single(2), images(1, 50)[0]
    with torch.no_grad():
        nets = _swapped(net, x)
    old, new = net[1], nets["recalibrated"][1]
    assert torch.equal(nets["stored"][1].running_var, old.running_var) and not torch.equal(
        old.running_var, new.running_var
    )
    assert torch.equal(nets["variances only"][1].running_var, new.running_var)
    assert torch.equal(nets["variances only"][1].running_mean, old.running_mean)
    assert torch.equal(nets["means only"][1].running_var, old.running_var)
    assert torch.equal(nets["means only"][1].running_mean, new.running_mean)


def test_records_at_a_tiny_size():
    arms = {"orders": ("norm first", "head only"), "rates": (0.0, 0.5), "seeds": (0, 1), "steps": 3}
    for experiment in (clean, noisy):
        record = experiment(**arms)
        assert record.arms == tuple(arm_of(order, p) for order in arms["orders"] for p in arms["rates"])
        assert {f"accuracy, {swap}" for swap in SWAPS} <= set(record.metrics)
        assert all(0 < value < 1.5 for i in NORMS for value in record.values(f"ratio at BN {i}", "head only, p = 0.5"))
        # Without dropout the two orders are one network.
        assert record.metrics["NLL, stored"][record.arms[0]] == record.metrics["NLL, stored"][record.arms[2]]
    assert "wrong" in record.task
    assert confident((0.5,), (0, 1), 3, width=8).arms == ("dropout inside, p = 0.5",)
    record = activations(("tanh",), **arms)
    assert record.arms[1] == "tanh, norm first, p = 0.5" and "NLL, stored" not in record.metrics


def test_units_that_are_always_off_have_no_ratio():
    """Otherwise their ratio, 0 over something tiny, would pull the median down."""
    net, x = stack("dropout first").single(2), images(1, 400)[0]
    with torch.no_grad():
        before = _ratios(net, x, 0.5)["ratio at BN 1"]
        net[0].bias[:3] = -100.0
        net[0].weight[:3] = 0.0
        live = measure_shift(net, [x])[0]
        expected = (live.variance_off / live.running_variance)[live.variance_off > 0].quantile(0.5)
        assert _ratios(net, x, 0.5)["ratio at BN 1"] == pytest.approx(float(expected)) and expected > 0 and before > 0


def test_an_arm_can_be_repeated_alone():
    whole = clean(("head only",), (0.3, 0.5), (0, 1), 3)
    part = clean(("head only",), (0.5,), (0, 1), 3)
    assert all(part.metrics[metric].items() <= whole.metrics[metric].items() for metric in part.metrics)


def test_the_stored_ratios_are_those_that_were_predicted():
    """A coarse bound; the chapter repeats the trainings."""
    record = load("batchnorm-clean")
    assert 0.38 < record.mean("ratio at BN 1", arm_of("dropout first", 0.5)).mean < 0.46
    assert record.mean("ratio at BN 2", arm_of("norm first", 0.5)).mean < 0.9
    assert 0.95 < record.mean("ratio at BN 3", arm_of("head only", 0.5)).mean < 1.05


# ---- what the interactive figure ships


def test_the_figure_ships_the_records_and_the_formula():
    state, record = shift_figure().state, load("batchnorm-clean")
    for step in range(round(state["last"] * state["steps"]) + 1):
        p = step / state["steps"]
        at = round(p / state["last"] * (len(state["curves"]["relu"]) - 1))
        for activation, formula in (("relu", "relu"), ("gelu", "gelu"), ("tanh", "identity")):
            assert state["curves"][activation][at] == pytest.approx(predicted_shift(p, formula), abs=1e-4)
        for order, ratios in state["nets"]["relu"].items():
            for i, row in zip(NORMS, ratios["measured"], strict=True):
                assert row[step] == pytest.approx(record.mean(f"ratio at BN {i}", arm_of(order, p)).mean, abs=1e-3)
    assert set(state["nets"]["relu"]) == set(THREE_ORDERS)
