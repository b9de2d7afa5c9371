"""Chapter 15: crossings, z-scores, the linear model; the recap against the layers; trainings at tiny sizes."""

import math

import numpy as np
import pytest
import torch

from companion import recap
from companion.experiments import when_dropout_hurts as experiment
from companion.experiments.claims import statements
from companion.experiments.protocol import load
from companion.figures import when_dropout_hurts as pictures
from companion.papers import reported, z_of_errors
from companion.widgets.when_dropout_hurts import hurts_figure

# ---- exact parts


def test_a_crossing_lies_on_the_straight_line_over_the_logarithm():
    assert experiment.crossing([100, 10_000], [1.0, -1.0]) == pytest.approx(1000, rel=1e-9)
    assert experiment.crossing([100, 1000], [3.0, -1.0]) == pytest.approx(100 * 10**0.75, rel=1e-9)
    assert experiment.crossing([1, 10, 100], [1.0, 0.0, -1.0]) == pytest.approx(10, rel=1e-9)


def test_the_last_crossing_counts_and_none_has_its_own_value():
    assert experiment.crossing([1, 10, 100, 1000], [1.0, -1.0, 1.0, -1.0]) == pytest.approx(10**2.5, rel=1e-9)
    assert experiment.crossing([1, 10, 100], [-1.0, 2.0, 1.0]) == math.inf
    assert experiment.crossing([1, 10, 100], [-1.0, -2.0, -1.0]) == 0.0


@pytest.mark.parametrize("counts, gain", [([1, 2], [1.0]), ([2, 1], [1.0, -1.0]), ([0, 1], [1.0, -1.0]), ([], [])])
def test_a_crossing_of_nonsense_is_refused(counts, gain):
    with pytest.raises(ValueError, match="counts"):
        experiment.crossing(counts, gain)


def test_bootstrapped_crossings_begin_with_the_one_of_all_seeds_and_repeat():
    gain = np.array([[1.0, 3.0, 2.0], [-1.0, -2.0, -3.0]])
    found = experiment.crossings([10, 1000], gain, resamples=50)
    assert len(found) == 51 and found[0] == pytest.approx(100, rel=1e-9)
    assert np.array_equal(found, experiment.crossings([10, 1000], gain, resamples=50))
    alike = experiment.crossings([10, 1000], np.array([[1.0] * 3, [-1.0] * 3]), resamples=5)
    assert alike == pytest.approx([100] * 6, rel=1e-9)


def test_z_of_the_famous_differences():
    """Against the values worked out by hand, to the digits given there."""
    assert [round(row.z, 1) for row in reported() if row.famous] == [3.5, 1.3, 0.9, 3.5, 0.4]
    assert z_of_errors(50, 40, 49) == pytest.approx(1.0, rel=1e-9)
    assert z_of_errors(40, 50, 49) == pytest.approx(-1.0, rel=1e-9)


@pytest.mark.parametrize(
    "arguments, named", [((101, 1, 10), "before"), ((1, -1, 10), "after"), ((1, 2, 0), "n"), ((0, 100, 10), "before")]
)
def test_impossible_error_rates_are_refused(arguments, named):
    with pytest.raises(ValueError, match=named):
        z_of_errors(*arguments)


def test_the_linear_gain_is_the_expected_difference_of_squared_errors():
    """Least squares on an orthogonal design with fresh noise, many times: 4.5 standard errors."""
    g = torch.Generator().manual_seed(0)
    n, d, p, draws = 20, 4, 0.3, 40_000
    x = torch.linalg.qr(torch.randn(n, d, generator=g, dtype=torch.float64))[0] * n**0.5
    w = torch.full((d,), 0.4, dtype=torch.float64)
    noise = torch.randn(draws, n, generator=g, dtype=torch.float64) * 1.5
    plain = w + noise @ x / n
    gain = (plain - w).square().sum(1) - ((1 - p) * plain - w).square().sum(1)
    expected = experiment.linear_gain(n, p, weights=d, noise=2.25, signal=float(w.square().sum()))
    assert abs(float(gain.mean()) - expected) < 4.5 * float(gain.std()) / draws**0.5


def test_the_linear_gain_is_zero_at_its_crossing_and_falls():
    for p in (0.1, 0.5, 0.9):
        setting = {"weights": 7, "noise": 0.6, "signal": 1.7}
        n = experiment.linear_crossing(p, **setting)
        assert experiment.linear_gain(n, p, **setting) == pytest.approx(0, abs=1e-9)
        assert experiment.linear_gain(0.9 * n, p, **setting) > 0 > experiment.linear_gain(1.1 * n, p, **setting)


# ---- the recap


def test_masks_have_the_shapes_that_the_variants_promise():
    found = {variant.name: recap.mask_shape(variant.name) for variant in recap.variants()}
    assert {name: shape.mask for name, shape in found.items()} == {
        "dropout": ("N", "D"),
        "spatial dropout": ("N", "C", "1", "1"),
        "DropBlock": ("N", "C", "H", "W"),
        "DropConnect": ("1", "out", "in"),
        "weight drop": ("1", "D", "D"),
        "locked dropout": ("N", "1", "D"),
        "embedding dropout": ("1", "V", "1"),
        "stochastic depth": ("1", "1", "1", "1"),
        "DropPath": ("N", "1", "1", "1"),
    }
    assert found["stochastic depth"].coins == 1 and found["DropPath"].coins == recap.AXES["N"]


def test_looking_at_masks_does_not_disturb_the_random_state_and_does_not_depend_on_the_seed():
    before = torch.get_rng_state()
    assert recap.mask_shape("DropBlock") == recap.mask_shape("DropBlock", seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(KeyError, match="name must be one of"):
        recap.mask_shape("dropin")


def test_all_evidence_is_a_claim_and_every_table_links_to_it():
    for row in (*recap.variants(), *recap.guide()):
        for claim in row.evidence:
            assert claim in statements(), f"{row.name} names {claim}"
    for table in (pictures.recap_table(), pictures.guide_table()):
        html = table._repr_html_()
        ids = [claim for row in table.evidence for claim in row]
        assert ids and all(f'<a href="{recap.link(claim)}"' in html for claim in ids)
    assert recap.link("A-24") == "05-spatial-dropout.html#claim-a-24"
    with pytest.raises(KeyError, match="claim must be an id"):
        recap.link("A-0")


# ---- trainings at tiny sizes


def test_records_at_a_tiny_size():
    record = experiment.sweep(["8-8"], [40, 80], [0.2], seeds=(0, 1), steps=3)
    assert record.name == "hurts-sweep" and len(record.arms) == 8
    assert experiment.gains(record, "8-8", 0.2, 0.5, counts=[40, 80]).shape == (2, 2)
    record = experiment.passes([1, 2], seeds=(0, 1), rates=(0.0, 0.5), steps=4)
    assert record.arms == tuple(f"seen {seen} times, p = {p:g}" for seen in (1, 2) for p in (0, 0.5))
    record = experiment.moments(["overfits"], seeds=(0, 1), rates=(0.5,), steps=6)
    assert record.arms == ("overfits, none", *(f"overfits, {moment} p = 0.5" for moment in experiment.MOMENTS))


def test_seeds_of_other_blocks_do_not_change_a_block():
    """What a chapter repeats, a block alone, must be what the record holds."""
    both = experiment.sweep(["8-8"], [40], [0.2], seeds=range(6), steps=3)
    last = experiment.sweep(["8-8"], [40], [0.2], seeds=range(4, 6), steps=3)
    for arm in last.arms:
        np.testing.assert_allclose(both.values("NLL", arm)[4:], last.values("NLL", arm), rtol=1e-4)


def test_early_and_late_dropout_are_on_when_they_should(monkeypatch):
    seen = {}

    def watched(net, examples, *, steps, watch, watch_every, **options):
        for step in range(0, steps + 1, watch_every):
            watch(net, step)
            seen[step] = net.p[:: len(net.seeds), 1, 0, 0].tolist()
            assert torch.equal(net.p[:, 1], net.p[:, 2]) and not net.p[:, 0].any()

    monkeypatch.setattr(experiment, "train", watched)
    experiment.moments(["overfits"], seeds=(0, 1), rates=(0.5,), steps=12, part=3)
    assert seen == {0: [0, 0.5, 0.5, 0], 4: [0, 0.5, 0, 0.5], 8: [0, 0.5, 0, 0.5], 12: [0, 0.5, 0, 0.5]}


def test_the_stored_records_are_those_of_the_settings():
    sweep = load("hurts-sweep")
    arms = [
        experiment.name(student, count, noise, p)
        for count in experiment.COUNTS
        for noise in (0.2, 0.0)
        for student in experiment.STUDENTS
        for p in experiment.RATES
    ]
    assert sorted(sweep.arms) == sorted(arms)
    assert load("hurts-moments").seeds == tuple(range(32)) and sweep.budget["steps"] == 1000


# ---- the interactive figure


def test_the_figure_ships_the_effects_of_the_record():
    figure, record = hurts_figure(), load("hurts-sweep")
    cell = figure.state["cells"]["right"]["16-16"][3]["gains"]["0.2"]
    effect = record.effect(
        "test accuracy", experiment.name("16-16", 3000, 0.0, 0.2), experiment.name("16-16", 3000, 0.0, 0)
    )
    assert cell[:3] == [round(value, 1) for value in (effect.mean, effect.low, effect.high)]
    assert cell[3] == (effect.low > 0) - (effect.high < 0)
    assert len(figure.state["cells"]["wrong"]["8-8"]) == len(experiment.COUNTS)
