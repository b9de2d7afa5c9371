"""Chapter 09's experiment: the trainer's recorded runs are what the code gives today, and what the chapter rests on."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from chromium import browser, show  # noqa: F401

from companion.data import digits, teacher
from companion.experiments.overfitting_lab import (
    DRIFT,
    RATES,
    SAMPLE,
    Run,
    best_rates,
    choices,
    labels,
    longer,
    picked_by_gap,
    repeated,
    run,
    runs,
    sizes,
    widths,
)
from companion.experiments.protocol import Disagreement, Record, load, seed_blocks
from companion.figures import overfitting_lab as pictures
from companion.widgets import overfitting_lab as widgets
from companion.widgets.overfitting_lab import lab_figure, packed

TINY = {"steps": 4, "every": 2, "n_train": 60, "n_test": 50}


# ---- the recorded runs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "seed"), [(0.0, 3), (0.5, 0), (0.8, 8)])
def test_a_stored_curve_is_what_a_fresh_run_gives(p, seed, capsys):
    """From scratch, at settings that the chapter does not repeat itself."""
    assert (p, seed) not in SAMPLE
    repeated([(p, seed)])
    assert "1 of 200 trainings were done again just now" in capsys.readouterr().out


def test_a_curve_of_another_rate_or_seed_is_noticed():
    """The tolerance for round-off is far below what a neighbouring setting differs by."""
    record = load("lab-runs")
    learning = [f"p = {p:g}" for p in RATES if p <= 0.85]  # beyond, all networks are at chance and their curves alike
    curves = [[record.curve(f"{part} accuracy", arm)[1] for arm in learning] for part in ("training", "test")]
    values = np.array(curves)  # part, rate, seed, look
    for one, other in ((values[:, 2:], values[:, :-2]), (values[:, :, 1:], values[:, :, :-1])):  # by 0.1, by a seed
        assert np.abs(one - other).max(-1).max(0).min() > DRIFT
    swapped = json.loads(json.dumps(record.curves))
    swapped["test accuracy"]["p = 0.5"] = record.curves["test accuracy"]["p = 0.7"]
    with pytest.raises(
        Disagreement, match=r"p = 0.5, seed 2: the test accuracy of the record and of this run differ by"
    ):
        repeated([(0.5, 2)], dataclasses.replace(record, curves=swapped))


def test_the_record_is_complete_and_its_ends_are_those_of_its_curves():
    record = load("lab-runs")
    assert len(record.arms) == len(RATES) >= 10 and len(record.seeds) >= 8
    for p in RATES:
        arm = f"p = {p:g}"
        train, test = (record.curve(f"{part} accuracy", arm)[1] for part in ("training", "test"))
        assert train.shape == test.shape == (len(record.seeds), 21)
        np.testing.assert_allclose(record.values("training accuracy", arm), train[:, -1])
        np.testing.assert_allclose(record.values("test accuracy", arm), test[:, -1])
        np.testing.assert_allclose(record.values("gap", arm), train[:, -1] - test[:, -1], atol=1e-3)


def test_a_run_is_repeatable_and_every_argument_counts():
    one = run(0.3, 1, **TINY)
    assert one == run(0.3, 1, **TINY) and isinstance(one, Run)
    assert one.steps == (0, 2, 4) and len(one.train) == len(one.test) == 3
    assert one.gap == one.train[-1] - one.test[-1]
    assert one != run(0.3, 2, **TINY) and one != run(0.4, 1, **TINY) and one != run(0.3, 1, **{**TINY, "noise": 0.0})
    assert run(0.3, 1, hidden=(8,), **TINY).nll != one.nll
    assert run(0.0, 1, **{**TINY, "noise": 0.0}).learnt == 0
    seen = []
    run(0.3, 1, look=lambda *told: seen.append(told), **TINY)
    assert tuple(zip(*seen, strict=True)) == (one.steps, one.train, one.test)
    with pytest.raises(ValueError, match="every must divide steps, got every = 3 and steps = 4"):
        run(0.3, 1, **{**TINY, "every": 3})
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\]"):
        run(1.2, 1, **TINY)


def test_wrong_labels_learnt_is_the_share_of_wrong_labels_that_come_back():
    """A network without dropout that is trained long learns nearly all of them; an untrained one a few by chance."""
    small = {"n_train": 40, "n_test": 50, "every": 1}
    assert run(0.0, 0, steps=400, **{**small, "every": 400}).learnt == 100
    task, truth = (digits((0,), n_train=40, n_test=50, noise=noise).train for noise in (0.2, 0.0))
    assert torch.equal(task.x, truth.x) and 0.05 < float((task.y != truth.y).double().mean()) < 0.5
    assert run(0.0, 0, steps=1, **small).learnt < 60


# ---- all experiments at a tiny size ----------------------------------------------------------------------------------


def test_records_at_a_tiny_size():
    record = runs(rates=(0.0, 0.5), seeds=(0, 1), **TINY)
    assert record.arms == ("p = 0", "p = 0.5") and len(record.metrics) == 5 and len(record.curves["test accuracy"]) == 3
    assert record.values("test accuracy", "p = 0.5")[1] == pytest.approx(run(0.5, 1, **TINY).test[-1])
    record = labels(seeds=(0, 1), steps=40)
    assert record.arms == ("clean, p = 0", "clean, p = 0.5", "noisy, p = 0", "noisy, p = 0.5")
    assert record.curve("mean test accuracy", "clean, p = 0")[1].shape == (1, 2)
    record = widths(units=(4, 8), seeds=(0, 1), rates=(0.0, 0.5), steps=2)
    assert record.arms == ("4 units, p = 0", "4 units, p = 0.5", "8 units, p = 0", "8 units, p = 0.5")
    record = sizes(counts=(40, 80), seeds=(0, 1), rates=(0.0, 0.5), steps=2)
    assert (
        record.arms[0] == "40 examples, p = 0" and len(record.arms) == 4 and set(record.metrics) == {"accuracy", "NLL"}
    )
    record = longer(seeds=(0, 1), rates=(0.5,), steps=2, times=2)
    assert record.arms == ("p = 0.5, 2 steps", "p = 0.5, 4 steps")


def test_a_block_of_seeds_does_not_depend_on_the_others():
    """So a chapter may repeat one block of a record, and a width or a size apart from the others."""
    assert seed_blocks(range(10)) == [range(8), range(8, 10)]
    whole = longer(seeds=range(10), rates=(0.5,), steps=3, times=2)
    part = longer(seeds=(8, 9), rates=(0.5,), steps=3, times=2)
    for arm in whole.arms:
        assert whole.metrics["test accuracy"][arm][8:] == part.metrics["test accuracy"][arm]
    wide = widths(units=(4, 8), seeds=(0, 1), rates=(0.5,), steps=3)
    alone = widths(units=(8,), seeds=(0, 1), rates=(0.5,), steps=3)
    assert wide.metrics["test accuracy"]["8 units, p = 0.5"] == alone.metrics["test accuracy"]["8 units, p = 0.5"]


def test_choices_stop_and_choose_on_validation_images_only():
    record = choices(seeds=(0, 1), rates=(0.0, 0.3, 0.5), steps=120, every=20, patience=2)
    assert record.arms == ("p = 0", "p = 0.3", "p = 0.5", "p chosen", "p = 0, early", "p = 0.5, early")
    assert set(record.metrics["chosen p"]["p chosen"]) <= {0.0, 0.3, 0.5}
    assert all(step % 20 == 0 and 0 <= step <= 120 for step in record.metrics["best check, step"]["p = 0, early"])
    # What is stopped early must not disturb what goes on: the long arms are those of an experiment without stopping.
    same = choices(seeds=(0, 1), rates=(0.0, 0.3, 0.5), steps=120, every=40, patience=100)
    for arm in ("p = 0", "p = 0.3", "p = 0.5", "p chosen"):
        assert record.metrics["test accuracy"][arm] == same.metrics["test accuracy"][arm]


def test_best_rates_are_the_places_of_the_best_values():
    values = {"p = 0": [1.0, 9.0], "p = 0.5": [3.0, 9.0], "p = 0.9": [2.0, 1.0]}
    record = Record("made-up", "none", tuple(values), (0, 1), {"steps": 1}, {"test accuracy": values})
    assert best_rates(record).tolist() == [0.5, 0.0]  # of equal ones the lowest
    assert best_rates(record, sign=-1).tolist() == [0.0, 0.9]
    with pytest.raises(ValueError, match="prefix must begin some of the arms"):
        best_rates(record, prefix="wide, ")


def test_both_readings_of_a_small_gap():
    train = {"p = 0": [99.0, 99.0], "p = 0.5": [84.0, 80.0], "p = 0.9": [14.0, 30.0]}
    test = {"p = 0": [75.0, 98.0], "p = 0.5": [86.0, 79.5], "p = 0.9": [13.0, 25.0]}
    metrics = {"training accuracy": train, "test accuracy": test}
    record = Record("made-up", "none", ("p = 0", "p = 0.5", "p = 0.9"), (0, 1), {"steps": 1}, metrics)
    rates, reached = picked_by_gap(record)
    assert rates.tolist() == [0.9, 0.5] and reached.tolist() == [13.0, 79.5]
    rates, reached = picked_by_gap(record, lowest=True)
    assert rates.tolist() == [0.5, 0.5] and reached.tolist() == [86.0, 79.5]


def test_a_teacher_makes_classes_that_a_network_can_learn():
    task = teacher((0, 1), n_train=4000, n_test=500, noise=0.0)
    assert task.train.x.shape == (2, 4000, 16) and task.classes == 5
    shares = torch.stack([(task.train.y == label).double().mean(1) for label in range(5)])
    assert float(shares.min()) > 0.08  # no class is rare
    assert not torch.equal(task.train.y[0], task.train.y[1])
    noisy = teacher((0, 1), n_train=4000, n_test=500, noise=0.2)
    assert torch.equal(noisy.train.x, task.train.x)
    assert float((noisy.train.y != task.train.y).double().mean()) == pytest.approx(0.2, abs=0.03)
    assert torch.equal(noisy.test.open().y, task.test.open().y)
    with pytest.raises(ValueError, match="n_train must be an integer of at least 1"):
        teacher((0,), n_train=0)


# ---- what the chapter rests on ---------------------------------------------------------------------------------------


def test_stored_records_say_what_the_chapter_rests_on():
    lab = load("lab-runs")
    assert lab.effect("test accuracy", "p = 0.5", "p = 0").low > 5
    assert lab.effect("test accuracy", "p = 0.9", "p = 0").high < -40
    gain = {
        words: load("lab-labels").effect("test accuracy", f"{words}, p = 0.5", f"{words}, p = 0")
        for words in ("clean", "noisy")
    }
    assert 0 < gain["clean"].low and gain["clean"].high < 2 < gain["noisy"].low
    control = load("lab-choice")
    stopped = control.effect("test accuracy", "p = 0, early", "p = 0")
    assert stopped.low > 5 and control.effect("test accuracy", "p = 0.5", "p = 0, early").high < 4
    wide = load("lab-width")
    assert best_rates(wide, prefix="128 units, ").mean() > best_rates(wide, prefix="16 units, ").mean() + 0.2
    size = load("lab-size")
    gains = [
        size.effect("accuracy", f"{n} examples, p = 0.5", f"{n} examples, p = 0").mean for n in (100, 1000, 10_000)
    ]
    assert gains[1] > 10 > 2 > gains[0] and gains[2] < 0


def test_pictures_say_what_they_show():
    lab = load("lab-runs")
    best = max(lab.arms, key=lambda arm: lab.mean("test accuracy", arm).mean)
    assert f"rises to its best at {best} and" in pictures.sweet_spot(lab).alt
    assert f"p = 0 (gap {lab.mean('gap', 'p = 0').mean:.0f}" in pictures.gap_against_accuracy(lab).alt
    assert f"test accuracy: best at {best} with" in pictures.two_metrics(lab).alt
    control = load("lab-choice")
    assert "NLL: best at p = " in pictures.two_metrics(control).alt
    assert (
        f"no dropout, stopped early: {control.mean('test accuracy', 'p = 0, early').mean:.1f}%"
        in pictures.control(control).alt
    )
    assert "16 units: best" in pictures.widths(load("lab-width")).alt
    assert "with 10,000" in pictures.gain_against_size(load("lab-size")).alt
    assert "noisy, p = 0: best" in pictures.memorising(load("lab-labels")).alt


# ---- the trainer -----------------------------------------------------------------------------------------------------


def unpacked(text: str) -> list[float]:
    return [int(text[i : i + 2], 36) / 10 for i in range(0, len(text), 2)]


def test_what_the_trainer_plays_is_the_record():
    assert packed([0, 12.3, 100]) == "003frs" and unpacked("003frs") == [0, 12.3, 100]
    record, state = load("lab-runs"), lab_figure().state
    for part, curve in (("train", "training accuracy"), ("test", "test accuracy")):
        for arm, curves in zip(record.arms, state[part], strict=True):
            np.testing.assert_allclose([unpacked(text) for text in curves], record.curve(curve, arm)[1], atol=0.051)
    assert len(json.dumps(state)) < 60_000 and state["live"] is False
    assert [j / len(state["train"]) for j in range(len(state["train"]))] == [float(arm[4:]) for arm in record.arms]


def test_with_a_kernel_it_trains_with_the_function_of_the_record(monkeypatch):
    """The Python side without a kernel: what a front end would send, and what it would be sent."""
    pytest.importorskip("anywidget")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    box = lab_figure(live=True, **TINY)
    widget, progress = box.children
    assert widget.live is True and type(progress).__name__ == "Output"
    sent = []
    widget.observe(lambda change: sent.append(change["new"]), "trained")
    widget.set_state({"asked": {"number": 1, "p": 0.35, "seed": 12}})  # the reader presses Train
    one, without = run(0.35, 12, **TINY), run(0.0, 12, **TINY)
    assert [len(news["train"]) for news in sent] == [1, 2, 3, 3] and [news["done"] for news in sent] == [False] * 3 + [
        True
    ]
    assert {news["number"] for news in sent} == {1}
    assert [value / 10 for value in sent[-1]["train"]] == pytest.approx(one.train)
    assert [value / 10 for value in sent[-1]["test"]] == pytest.approx(one.test)
    assert sent[-1]["base"] / 10 == pytest.approx(without.test[-1])
    widget.set_state({"asked": {"number": 2, "p": 0.0, "seed": 12}})
    assert sent[-1]["number"] == 2 and sent[-1]["base"] == sent[-1]["test"][-1]


def test_it_trains_on_the_gpu_if_there_is_one_and_shows_a_progress_bar(monkeypatch):
    pytest.importorskip("anywidget")
    calls = []

    def noted(p, seed, **settings):
        calls.append((p, seed, settings))
        return Run(p, seed, (0,), (10.0,), (10.0,), 2.3, 0.0)

    monkeypatch.setattr(widgets, "run", noted)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    lab_figure(live=True).children[0].set_state({"asked": {"number": 1, "p": 0.5, "seed": 10}})
    assert [(p, seed) for p, seed, _ in calls] == [(0.5, 10), (0.0, 10)]
    for p, _, settings in calls:
        assert settings["device"] == "cuda" and settings["progress"].startswith(f"p = {p:g}")
        assert (settings["steps"], settings["every"]) == (800, 40)


def test_settings_are_for_live_training_only():
    with pytest.raises(TypeError, match=r"settings must go with live=True, got \['hidden'\]"):
        lab_figure(hidden=(8,))


# ---- the trainer in a page -------------------------------------------------------------------------------------------


def _said(page) -> str:
    return page.get_by_role("status").inner_text()


def test_the_reader_predicts_before_the_run_is_played(show):  # noqa: F811
    page = show(lab_figure()._repr_html_(), reduced_motion="reduce")
    record = load("lab-runs")
    assert "plays recorded runs of the very same code" in page.locator("figure").inner_text()
    assert _said(page).startswith("p = 0.50. First predict:")
    page.get_by_role("button", name="Train").press("Enter")
    assert _said(page).startswith("p = 0.50. First predict:") and page.locator("figure svg circle").count() == 1
    page.get_by_role("radio", name="worse").focus()
    page.keyboard.press("Space")
    assert "You say: worse than without dropout" in _said(page)
    page.get_by_role("button", name="Train").press("Enter")
    train, test = (record.curve(f"{part} accuracy", "p = 0.5")[1][0][-1] for part in ("training", "test"))
    assert f"seed 0: training {train:.1f}%, test {test:.1f}%" in _said(page) and "You said worse: not so." in _said(
        page
    )
    page.get_by_role("button", name="Again").press("Enter")
    test = record.curve("test accuracy", "p = 0.5")[1][1][-1]
    assert "p = 0.50, seed 1: training" in _said(page) and f"test {test:.1f}%" in _said(page)
    page.get_by_role("slider").press("ArrowRight")
    assert _said(page).startswith("p = 0.55. First predict:")  # another rate wants another prediction
    page.get_by_role("button", name="Every rate").press("Enter")
    assert "So far 22 runs" in _said(page)
    assert page.locator("figure svg circle").count() >= 22  # one dot a run in the strip
    page.get_by_role("button", name="Clear").press("Enter")
    assert "So far" not in _said(page) and page.locator("figure svg circle").count() == 1


def test_the_curve_grows_where_motion_is_welcome(show):  # noqa: F811
    page = show(lab_figure()._repr_html_(), reduced_motion="no-preference")
    page.get_by_role("radio", name="better").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Train").press("Enter")
    assert _said(page) == "Training with p = 0.50."
    page.wait_for_function("document.querySelector('[role=status]').textContent.includes('You said better')")


def test_with_a_kernel_the_page_asks_and_draws_what_comes(show):  # noqa: F811
    """The module on a model whose other side is this test instead of Python."""
    figure = widgets._figure(load("lab-runs"), live=True)
    page = show("<main id='cell'></main>", reduced_motion="reduce")
    page.evaluate(
        """async ([text, values]) => {
             const blob = new Blob([text], { type: "text/javascript" });
             const { default: figure } = await import(URL.createObjectURL(blob));
             const heard = {};
             const model = {
               get: (name) => values[name],
               set: (name, value) => { values[name] = value; (heard["change:" + name] ?? []).forEach((f) => f()); },
               on: (name, f) => (heard[name] ??= []).push(f),
               off: () => {},
               save_changes: () => {},
             };
             globalThis.probe = { model, values };
             figure.render({ model, el: document.getElementById("cell") });
           }""",
        [figure.module, figure.values],
    )
    assert "every run is trained now" in page.locator("#cell").inner_text()
    assert page.get_by_role("button", name="Every rate").count() == 0
    page.get_by_role("slider").press("ArrowRight")
    page.get_by_role("radio", name="better").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Train").press("Enter")
    assert page.evaluate("probe.values.asked") == {"number": 1, "p": 0.51, "seed": 10}
    assert _said(page) == "Training with p = 0.51, seed 10."
    page.get_by_role("button", name="Train").press("Enter")  # one at a time
    assert page.evaluate("probe.values.asked.number") == 1
    news = {"number": 1, "train": [100, 500], "test": [100, 520], "base": None, "done": False}
    page.evaluate("news => probe.model.set('trained', news)", news)
    assert page.locator("#cell svg text", has_text="50.0").count() >= 1 and "Training" in _said(page)
    page.evaluate(
        "news => probe.model.set('trained', news)",
        {**news, "train": [100, 850], "test": [100, 860], "base": 750, "done": True},
    )
    assert _said(page).startswith("p = 0.51, seed 10: training 85.0%, test 86.0%, gap −1.0 points. Without dropout")
    assert "11.0 points better. You said better: right." in _said(page)
    page.get_by_role("button", name="Again").press("Enter")
    assert page.evaluate("probe.values.asked") == {"number": 2, "p": 0.51, "seed": 11}
