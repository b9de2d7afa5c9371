"""The experiments of chapter 04 at tiny size, and its figure and pictures from the stored records."""

import json
import re

import pytest
import torch

from companion.data import moons
from companion.ensembles import arithmetic_mean, enumerate_masks, geometric_mean
from companion.experiments import ensembles
from companion.experiments.protocol import load
from companion.figures import ensembles as pictures
from companion.models import StackedMLP
from companion.training import train
from companion.widgets.ensembles import ensemble_figure, subnetwork_count

TINY = {"seeds": (0, 1), "steps": 30}


def test_enumeration_matches_masks_put_in_by_hand():
    model = StackedMLP((3, 4, 2, 5), (0, 1), [0.3])
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    logits, weights = ensembles.every_subnetwork(model, 1, x, (0, 0.3, 0.3))
    masks, expected = enumerate_masks(6, 0.3)
    torch.testing.assert_close(weights, expected)
    w, b = [v[1].detach().double() for v in model.weights], [v[1].detach().double() for v in model.biases]
    for row in (0, 13, 37, 63):
        h = torch.relu(x.double() @ w[0] + b[0]) * masks[row, :4] / 0.7
        h = torch.relu(h @ w[1] + b[1]) * masks[row, 4:] / 0.7
        torch.testing.assert_close(logits[row], h @ w[2] + b[2])


@pytest.mark.parametrize("p", [(0.5, 0.5), (0.0, 0.2), (0.2, 0.2)])
def test_two_class_means_match_the_plain_enumeration(p):
    task = moons((0, 1), n_train=50, n_test=20)
    model = StackedMLP((2, 4, 5, 2), (0, 1), [(0, *p)])
    train(model, task.train, steps=60)
    test = task.test.open()
    x, y = test.x[1], test.y[1]
    found = ensembles.two_class_means(model, 1, x, y, p)
    logits, weights = ensembles.every_subnetwork(model, 1, x, (0, *p))
    torch.testing.assert_close(found["geometric mean"], geometric_mean(logits, weights))
    torch.testing.assert_close(found["arithmetic mean"], arithmetic_mean(logits, weights), atol=1e-6, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(found["one pass"], model(test.x)[1].double().softmax(-1), atol=1e-6, rtol=1e-5)
    accuracy = weights @ (logits.argmax(-1) == y).double().mean(1)
    assert float(found["accuracy"]) == pytest.approx(float(accuracy), abs=1e-6)


def test_narrowed_models_train_as_if_they_were_narrow():
    task = moons((0, 1), n_train=50, n_test=2)
    wide = ensembles.narrowed(StackedMLP((2, 6, 6, 2), (0, 1), [0.0, 0.0]), [2, 6])
    narrow = StackedMLP((2, 2, 2, 2), (0, 1))
    with torch.no_grad():  # the same start
        for layer, (w, b) in enumerate(zip(wide.weights, wide.biases, strict=True)):
            rows, columns = narrow.weights[layer].shape[1:]
            narrow.weights[layer].copy_(w[:2, :rows, :columns])
            narrow.biases[layer].copy_(b[:2, :, :columns])
    for model in (wide, narrow):
        train(model, task.train, steps=60)
    x = task.train.x
    torch.testing.assert_close(wide(x)[:2], narrow(x))
    assert all(not weight[:2, 2:].detach().any() for weight in wide.weights[1:])
    with pytest.raises(ValueError, match="units must hold one number for each of the 2 arms"):
        ensembles.narrowed(wide, [3])


def test_monte_carlo_average_closes_in_on_the_arithmetic_mean():
    model = StackedMLP((2, 5, 2), (0,), [0.5])
    x = 3 * torch.randn(1, 40, 2, generator=torch.Generator().manual_seed(0))
    exact = arithmetic_mean(*ensembles.every_subnetwork(model, 0, x[0], (0, 0.5)))
    averages = ensembles.monte_carlo(model, x, 0)[:, 0]
    error = (averages - exact).square().mean((1, 2)).sqrt()
    # Ten times less error at 100 masks; the bound is far from both what is right (1/10) and what is wrong (1).
    assert float(error[-1] / error[0]) < 0.3
    assert not model.training


@pytest.mark.parametrize(
    ("experiment", "options"),
    [
        (ensembles.one_layer, {"units": 4, "n_test": 30, "n_train": 60, "repeats": 2}),
        (ensembles.two_layers, {"units": 3, "n_test": 30, "n_train": 60}),
        (ensembles.twelve_units, {"n_test": 5, "n_train": 60}),
        (ensembles.wide, {"units": 8, "n_test": 30, "n_train": 60}),
        (ensembles.subnetworks, {"most": 3, "draws": 5, "n_train": 60}),
    ],
)
def test_experiments_give_paired_records(experiment, options):
    record = experiment(**TINY, **options)
    assert record.seeds == (0, 1)
    assert record.name in ensembles.EXPERIMENTS and ensembles.EXPERIMENTS[record.name] is experiment
    assert set(arm for arms in record.metrics.values() for arm in arms) == set(record.arms)
    json.dumps(dict(record.notes))
    for metric, arms in record.metrics.items():
        if metric.startswith("largest difference"):
            if experiment is ensembles.one_layer:  # a theorem: it holds however little was trained
                assert max(arms["geometric mean"]) < 1e-6
        if metric == "max |GM − one pass|":
            assert all(max(arms[name]) < 1e-6 for name in ensembles.EXACT)
        if metric == "gap of the geometric mean, last":
            assert all(max(values) < 1e-6 for values in arms.values())


def test_records_show_what_the_chapter_says():
    """The stored numbers on which sentences of the chapter rest; a new record that breaks one needs a new sentence."""
    one, two, twelve = (load(f"ensembles-{name}") for name in ("one-layer", "two-layers", "twelve-units"))
    assert one.values("largest difference from one pass, p=0.5", "geometric mean").max() < 1e-6
    assert one.mean("TV from one pass, p=0.5", "arithmetic mean").low > 0.1
    assert one.effect("NLL, p=0.5", "arithmetic mean", "one pass").low > 0
    assert two.mean("KL from one pass, p=0.2", "geometric mean").low > 0
    assert twelve.effect("log10 KL(GM, one pass)", "ReLU 6-6", "ReLU 6-6, trained without").high < -1
    for name in ("p=0.5", "p=0.2"):
        slope = one.mean(f"slope of the RMS error, {name}", "arithmetic mean")
        assert slope.mean == pytest.approx(-0.5, abs=0.02)


def test_figure_state_is_the_record():
    record = load("ensembles-figure")
    figure = ensemble_figure()
    state = figure.state
    assert state["counts"]["both"][-1].startswith("2²⁰ = 1,048,576 subnetworks, 1,047,553 of them distinct")
    assert state["counts"]["last"][0] == "2² = 4 subnetworks."
    assert subnetwork_count(10, "last") == "2¹⁰ = 1,024 subnetworks."
    assert len(state["nets"]["last"]) == len(state["counts"]["both"]) == len(record.arms)
    for place in ("last", "both"):
        for net, stored in zip(state["nets"][place], record.notes["nets"][place], strict=True):
            assert list(net["one"].values()) == pytest.approx(stored["one pass"], abs=1e-4)
            if place == "last":
                assert net["one"] == net["geometric"]
    assert all(len(row) == 2 * (state["least"] + len(record.arms) - 1) for row in state["masks"])
    page = figure._repr_html_()
    assert page == ensemble_figure()._repr_html_()
    assert len(page) < 100_000


def test_pictures_say_what_they_show():
    one, two, twelve, wide = (load(f"ensembles-{name}") for name in ("one-layer", "two-layers", "twelve-units", "wide"))
    made = [
        pictures.means_against_one_pass(one, two),
        pictures.rms_error(one),
        pictures.averages_against_one_pass(one, two, wide),
        pictures.gap(twelve),
    ]
    assert len({picture.name for picture in made}) == 4
    for picture in made:
        assert re.search(r"\d", picture.alt) and picture.caption.startswith("What to notice")
        assert len(picture.svg) < 80_000
