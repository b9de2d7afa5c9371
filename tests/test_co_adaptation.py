"""Chapter 01: its worked numbers, its theorem by enumeration, its measures on networks with known answers."""

import itertools
import math

import pytest
import torch

from companion.data import Examples
from companion.experiments import co_adaptation as c
from companion.experiments.protocol import load
from companion.figures import co_adaptation as pictures
from companion.models import StackedMLP
from companion.widgets.co_adaptation import dependence_figure

# ---- worked examples -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contributions", "deviation"), [([10, -9], math.sqrt(181)), ([1], 1.0), ([0.1] * 10, math.sqrt(0.1))]
)
def test_noise_of_three_ways_to_say_one(contributions, deviation):
    assert c.noise_deviation(contributions, 0.5) == pytest.approx(deviation, rel=1e-12)
    sums = [2 * sum(m * v for m, v in zip(mask, contributions, strict=True)) for mask in masks(len(contributions))]
    mean = sum(sums) / len(sums)
    assert mean == pytest.approx(1)
    assert math.sqrt(sum((value - mean) ** 2 for value in sums) / len(sums)) == pytest.approx(deviation)


def masks(n):
    return list(itertools.product((0, 1), repeat=n))


def test_noise_is_p_over_k_and_nothing_at_zero():
    assert c.noise_deviation([3.0], 0.2) == pytest.approx(3 * math.sqrt(0.25))
    assert c.noise_deviation([3.0], 0.0) == 0
    with pytest.raises(ValueError, match="p must be below 1"):
        c.noise_deviation([3.0], 1.0)


@pytest.mark.parametrize(("pair", "expected"), [((10.0, -9.0), -180.0), ((0.5, 0.5), 0.5), ((1.0, 0.0), 0.0)])
def test_synergy_for_the_squared_error_is_twice_the_product(pair, expected):
    values = torch.tensor(pair, dtype=torch.float64)
    assert c.synergy(lambda mask: float((1 - (mask * values).sum()) ** 2), 2, 0, 1) == pytest.approx(expected)


def test_synergy_needs_two_units():
    with pytest.raises(ValueError, match="two different units"):
        c.synergy(lambda mask: 0.0, 3, 1, 1)


@pytest.mark.parametrize(
    ("p", "totals"), [(0.5, (1.0, 1.3333, 1.6, 1.8182)), (0.2, (1.6, 1.7778, 1.8824, 1.9512)), (0.0, (2, 2, 2, 2))]
)
def test_totals_of_copies(p, totals):
    for r, total in zip((1, 2, 4, 10), totals, strict=True):
        assert c.total_of_copies(2, r, p) == pytest.approx(total, abs=5e-5)


@pytest.mark.parametrize("r", [1, 2, 4, 10])
@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_the_solver_shares_equally_among_copies(r, p):
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    weights = c.dropout_regression(x[:, None].repeat(1, r), 2 * x, p)
    torch.testing.assert_close(weights, torch.full_like(weights, c.total_of_copies(2, r, p) / r))


# ---- the theorem ---------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_on_linear_regression_is_a_ridge_of_its_own(p):
    g = torch.Generator().manual_seed(3)
    x = torch.randn(7, 5, generator=g, dtype=torch.float64) * torch.tensor([0.1, 1, 1, 3, 10])
    y, w = torch.randn(7, generator=g, dtype=torch.float64), torch.randn(5, generator=g, dtype=torch.float64)
    assert c.expected_squared_error(x, y, w, p) == pytest.approx(c.penalised_squared_error(x, y, w, p), rel=1e-12)
    best = c.dropout_regression(x, y, p)
    lowest = c.expected_squared_error(x, y, best, p)
    for direction in torch.eye(5, dtype=torch.float64):
        for step in (-1e-3, 1e-3):
            assert c.expected_squared_error(x, y, best + step * direction, p) > lowest


def test_predictions_do_not_depend_on_the_unit_of_a_feature():
    g = torch.Generator().manual_seed(4)
    x, y = torch.randn(20, 3, generator=g, dtype=torch.float64), torch.randn(20, generator=g, dtype=torch.float64)
    scaled = x * torch.tensor([1000.0, 1.0, 0.01], dtype=torch.float64)
    torch.testing.assert_close(x @ c.dropout_regression(x, y, 0.5), scaled @ c.dropout_regression(scaled, y, 0.5))


def test_a_negative_weight_for_a_sum_of_non_negative_inputs():
    tried, negative, x = c.negative_weights((0, 1, 20), rows=3, p=0.5)
    assert 0 < negative < tried and x.min() >= 0
    y = x.sum(1)
    torch.testing.assert_close(c.dropout_regression(x, y, 0.0), torch.ones(3, dtype=torch.float64))
    w = c.dropout_regression(x, y, 0.5)
    assert w.min() < -0.5
    # It is a minimum of what dropout minimises, by enumeration: no cheaper neighbour has its negative weight at zero.
    assert c.expected_squared_error(x, y, w, 0.5) < c.expected_squared_error(x, y, w.clamp(min=0), 0.5)
    with pytest.raises(ValueError, match="must not be negative"):
        c.negative_weights((-1, 0, 1))


# ---- measures on networks with known answers -----------------------------------------------------


def net(first, second, out):
    """One network of two hidden layers with the given weights and no biases."""
    tensors = [torch.tensor(w, dtype=torch.float32) for w in (first, second, out)]
    widths = (tensors[0].shape[0], *(w.shape[1] for w in tensors))
    model = StackedMLP(widths, [0], bias=False).eval()
    with torch.no_grad():
        for parameter, values in zip(model.weights, tensors, strict=True):
            parameter.copy_(values[None])
    return model


def test_cancellation_of_known_contributions():
    # One input of 1; two units of 1 that contribute 10 and -9 to a sum of 1: 19 is said, 1 arrives.
    model = net([[1.0, 1.0]], [[10.0], [-9.0]], [[1.0]])
    x = torch.ones(1, 4, 1)
    assert c.cancellation(model, x, 0).item() == pytest.approx(19)
    together = net([[1.0, 1.0]], [[0.5], [0.5]], [[1.0]])
    assert c.cancellation(together, x, 0).item() == pytest.approx(1)


def test_removal_flips_and_synergy_of_a_network_that_needs_one_unit():
    # Unit 0 carries the class, unit 1 nothing.
    model = net([[1.0, 1.0]], [[1.0, 0.0], [0.0, 0.0]], [[1.0, -1.0], [0.0, 0.0]])
    x = torch.ones(1, 6, 1)
    test = Examples(x, torch.zeros(1, 6, dtype=torch.long), "test")
    assert c.removed(model, x, 0, [0])[0].abs().max() == 0
    torch.testing.assert_close(c.removed(model, x, 0, [1]), model(x))
    torch.testing.assert_close(c.removed(model, x, 0, [1], rescale=True), 2 * model(x))
    assert c.flips(model, x, 0).tolist() == [[0.0, 0.0]]  # a tie still picks the first class
    alone, together = c.pair_synergy(model, test, 0, [(0, 1)])
    expected = math.log(2) - math.log(1 + math.exp(-2))
    assert alone[0].tolist() == pytest.approx([expected, 0], abs=1e-6)
    assert together[0].tolist() == pytest.approx([0], abs=1e-6)
    curve = c.removal_curve(model, test, 0, [0.0, 1.0])
    assert curve[0].tolist() == [1.0, 1.0]


def test_two_copies_of_a_unit_stand_in_for_each_other():
    model = net([[1.0, 1.0]], [[4.0], [4.0]], [[1.0, -1.0]])
    test = Examples(torch.ones(1, 2, 1), torch.zeros(1, 2, dtype=torch.long), "test")
    alone, together = c.pair_synergy(model, test, 0, [(0, 1)])
    assert together.item() > 10 * alone.max()  # either covers for the other: only losing both hurts


def test_correlation_leaves_dead_units_out():
    model = net([[1.0, 2.0, -1.0]], [[1.0], [1.0], [1.0]], [[1.0]])
    x = torch.linspace(0, 1, 9)[None, :, None]  # the third unit never fires
    assert c.correlation(model, x, 0).item() == pytest.approx(1)


def test_relative_noise_of_one_unit():
    model = net([[1.0]], [[3.0]], [[1.0]])
    x = torch.tensor([1.0, 2.0, 3.0])[None, :, None]
    assert c.relative_noise(model, x, 0).item() == pytest.approx(math.sqrt(14 / 3 / 1), rel=1e-5)


def test_removal_does_not_touch_the_model():
    model = StackedMLP((64, 8, 8, 10), [0, 1], (0.0, 0.5)).eval()
    before = [w.clone() for w in model.weights]
    x = torch.rand(2, 20, 64)
    test = Examples(x, torch.zeros(2, 20, dtype=torch.long), "test")
    curve = c.removal_curve(model, test, 0, [0.0, 0.5], subsets=3)
    assert curve.shape == (4, 2)
    torch.testing.assert_close(curve[:2], curve[2:])  # the same weights lose the same units: paired
    assert all(torch.equal(a, b) for a, b in zip(before, model.weights, strict=True)) and not model.training


# ---- the experiments at a tiny size --------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny():
    return c.removal(seeds=(0, 1), width=8, steps=30, stop=10, n_test=100, subsets=2, few=30, pairs=5)


def test_the_record_is_complete_and_paired(tiny):
    assert tiny.arms == ("p=0", "p=0.2", "p=0.5", "p=0.7", "weight decay", "early stop")
    assert all(set(arms) == set(tiny.arms) for arms in tiny.metrics.values())
    for layer in (1, 2):
        x, values = tiny.curve(f"layer {layer}", "p=0.5")
        assert values.shape == (2, len(x))
        assert values[:, 0] == pytest.approx(tiny.values("accuracy, all units", "p=0.5"), abs=0.01)


def test_the_early_stop_is_the_plain_network_as_it_was(tiny):
    short = c.removal(
        seeds=(0, 1), p=(0.0,), width=8, steps=10, stop=10, n_test=100, subsets=2, few=30, pairs=5
    )  # its last step is the other's stop, and batches of a seed do not depend on the number of steps
    metric = "accuracy, all units"
    assert short.values(metric, "p=0") == pytest.approx(short.values(metric, "early stop"), abs=1e-6)
    assert short.values(metric, "p=0") == pytest.approx(
        tiny.values(metric, "early stop"), abs=3
    )  # round-off may flip one


def test_the_reference_must_come_first():
    with pytest.raises(ValueError, match="p must begin with 0"):
        c.removal(seeds=(0, 1), p=(0.5,))


def test_small_nets_and_their_figure():
    record = c.small_nets(seeds=(0, 1), width=4, snapshots=(0, 20), n_test=60)
    figure = dependence_figure(record)
    assert figure.state["steps"] == [0, 20] and len(figure.state["pairs"]) == 6
    for arm in ("off", "on"):
        assert len(figure.state["nets"][arm]) == 2
        assert len(figure.state["nets"][arm][0]["synergy"]) == 6
    assert figure.state["nets"]["off"][0] == figure.state["nets"]["on"][0]  # the same first weights
    bearing = record.values("load-bearing pairs", "p=0")
    both = record.values("of these partners", "p=0") + record.values("of these stand-ins", "p=0")
    assert bearing == pytest.approx(both)


def test_wrong_labels_share_everything_else():
    record = c.wrong_labels(seeds=(0, 1), width=8, steps=20, n_test=60)
    assert record.arms[0] == "right labels, p=0" and len(record.arms) == 4
    gap = record.values("training accuracy", record.arms[0]) - record.values("test accuracy", record.arms[0])
    assert record.values("training minus test", record.arms[0]) == pytest.approx(gap, abs=0.02)


# ---- what the pages say of the stored records ----------------------------------------------------


def test_the_stored_records_carry_what_captions_say():
    record = load("co-adaptation")
    text = pictures.cancellation_picture(record).caption
    assert f"{len(record.seeds)} of {len(record.seeds)} seeds" in text
    half = "accuracy, half of layer 1 removed"
    for control in ("weight decay", "early stop"):
        assert record.effect(half, control, "p=0.5").high < 0
        assert abs(record.effect("accuracy, all units", control, "p=0.5").mean) < 3  # alike with all units present
    small = load("co-adaptation-small-nets")
    assert small.effect("of these partners", "p=0.5", "p=0").high < 0


def test_pictures_are_the_same_on_every_run():
    record = load("co-adaptation")
    assert pictures.removal_picture(record).svg == pictures.removal_picture(record).svg
    assert "currentColor" in pictures.removal_picture(record).svg
