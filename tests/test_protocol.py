"""The protocol: intervals that cover, records that cannot be moved unnoticed, verdicts that fit their intervals."""

import dataclasses
import functools
import json
import time

import numpy as np
import pytest
import torch
from scipy import stats

from companion.experiments import claims, protocol
from companion.experiments.__main__ import experiments
from companion.experiments.masks import kept_share, rounded_share
from companion.experiments.protocol import (
    RECORDS,
    Disagreement,
    Effect,
    Record,
    disagreements,
    interval,
    load,
    make_record,
    paired,
    say,
    side_by_side,
    verified,
)


def small_record(shift: float = 0.0, **changes) -> Record:
    rng = np.random.default_rng(1)
    base = rng.normal(70, 3, 12)
    parts = {
        "started": time.perf_counter(),
        "task": "made up",
        "arms": ("control", "treated"),
        "seeds": range(12),
        "budget": {"steps": 5},
        "metrics": {
            "accuracy": {"control": base.tolist(), "treated": (base + 5 + shift + rng.normal(0, 1, 12)).tolist()}
        },
        "units": {"accuracy": "%"},
    }
    return make_record("made-up", **(parts | changes))


def test_interval_is_students():
    values = [1.0, 2.0, 4.0, 8.0]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    effect = interval(values)
    assert (effect.low, effect.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("method", ["t", "bootstrap"])
def test_intervals_cover_as_often_as_they_say(method):
    """400 experiments of 20 seeds; the count of covering intervals lies within 4.5 standard errors of 95 %."""
    rng = np.random.default_rng(0)
    runs = 400 if method == "t" else 100
    covered = 0
    for _ in range(runs):
        effect = interval(rng.normal(3, 2, 20), method=method)
        covered += effect.low <= 3 <= effect.high
    # the bootstrap is known to cover a little less with 20 values: 92 % instead of 95 %
    expected = 0.95 if method == "t" else 0.92
    assert abs(covered / runs - expected) < 4.5 * (0.05 * 0.95 / runs) ** 0.5


def test_pairing_narrows_the_interval():
    record = small_record()
    effect = record.effect("accuracy", "treated", "control")
    unpaired = (record.mean("accuracy", "treated").half ** 2 + record.mean("accuracy", "control").half ** 2) ** 0.5
    assert effect.excludes_zero and effect.half < unpaired / 2


def test_effects_speak():
    effect = Effect(1.234, 0.5, 1.968, 12, unit="%", paired=True)
    assert f"{effect:.1f}" == "+1.2 [+0.5, +2.0] points"
    assert f"{Effect(87.0, 82.04, 92.0, 12, unit='%'):.0f}" == "87% [82, 92]"
    assert f"{Effect(-1.0, -2.0, 0.0, 3, unit='nats'):.1f}" == "−1.0 [−2.0, 0.0] nats"


@pytest.mark.parametrize(
    ("mean", "half", "words"),
    [
        (88.0, 2.63, "88.0 ± 2.6"),
        (0.50016, 0.000111, "0.50016 ± 0.00011"),
        (12345.0, 99.9, "12345 ± 100"),
        (-1.5, 0.25, "\u22121.50 ± 0.25"),
        (8.0, 0.0, "8 ± 0"),
        (3.35e-18, 3.2e-18, "3.3e\u221218 ± 3e\u221218"),
    ],
)
def test_means_are_printed_as_far_as_they_are_known(mean, half, words):
    assert Effect(mean, mean - half, mean + half, 12).plus_minus() == words


@pytest.mark.parametrize("bad", [[1.0], [1.0, float("nan")], [[1.0, 2.0]]])
def test_interval_refuses_what_has_none(bad):
    with pytest.raises(ValueError, match="values must be"):
        interval(bad)
    with pytest.raises(ValueError, match="same seeds"):
        paired([1.0, 2.0], [1.0, 2.0, 3.0])


def test_a_record_survives_its_file(tmp_path):
    record = small_record()
    record.save(tmp_path)
    assert load("made-up", tmp_path) == record
    assert [path.name for path in tmp_path.iterdir()] == ["made-up.json"]


def test_a_failed_save_leaves_the_old_record(tmp_path):
    record = small_record()
    record.save(tmp_path)
    broken = dataclasses.replace(record, notes={"x": float("inf")})
    with pytest.raises(ValueError, match="finite"):
        broken.save(tmp_path)
    assert load("made-up", tmp_path) == record and len(list(tmp_path.iterdir())) == 1


def test_a_record_that_is_off_by_two_intervals_is_found(tmp_path, capsys):
    record = small_record()
    record.save(tmp_path)
    assert verified(record, tmp_path) == record
    assert "12 paired seeds" in capsys.readouterr().out
    half = record.effect("accuracy", "treated", "control").half
    for direction in (-2, 2):
        with pytest.raises(Disagreement, match="accuracy, treated minus control"):
            verified(small_record(shift=direction * half), tmp_path)


@pytest.mark.parametrize(("halves", "agrees"), [(1.4, True), (-1.4, True), (1.43, False), (-1.43, False)])
def test_a_run_may_differ_as_much_as_one_more_draw(halves, agrees):
    """The difference of two independent means has √2 times the standard error of one, and no more is allowed."""
    record = small_record()
    half = record.effect("accuracy", "treated", "control").half
    assert (disagreements(small_record(shift=halves * half), record) == []) == agrees


def test_part_of_a_record_can_be_run_again(tmp_path, capsys):
    record = small_record()
    record.save(tmp_path)
    half = {"accuracy": {"treated": record.metrics["accuracy"]["treated"][4:8]}}
    part = dataclasses.replace(record, arms=("treated",), seeds=(4, 5, 6, 7), metrics=half)
    assert verified(part, tmp_path, part=True) == record
    assert "1 of 2 arms × 4 of 12 paired seeds were run just now; all 1 means" in capsys.readouterr().out
    with pytest.raises(Disagreement, match="arms"):
        verified(part, tmp_path)
    moved = {"accuracy": {"treated": [value + 9 for value in half["accuracy"]["treated"]]}}
    with pytest.raises(Disagreement, match="accuracy, treated"):
        verified(dataclasses.replace(part, metrics=moved), tmp_path, part=True)
    for change in ({"arms": ("other",), "metrics": {}}, {"seeds": (10, 11, 12, 13)}, {"budget": {"steps": 6}}):
        with pytest.raises(Disagreement, match="the record has"):
            verified(dataclasses.replace(part, **change), tmp_path, part=True)


@pytest.mark.parametrize("cores", [1, 2])
def test_experiments_side_by_side(cores, monkeypatch):
    """In processes of their own or one after the other, they give what they give alone, in their order."""
    monkeypatch.setattr(protocol, "cpu_count", lambda: cores)
    runs = [functools.partial(kept_share, rates=(0.5,), draws=1000, seeds=seeds) for seeds in ((0, 1), (2, 3))]
    found, alone = side_by_side(*runs), [run() for run in runs]
    assert [record.seeds for record in found] == [(0, 1), (2, 3)]
    assert [record.metrics for record in found] == [record.metrics for record in alone]
    with pytest.raises(ValueError, match="method must be one of"):
        side_by_side(runs[0], functools.partial(rounded_share, "none", 0.5, torch.float32))


@pytest.mark.parametrize("part", ["arms", "seeds", "budget", "task"])
def test_a_record_of_another_experiment_is_found(part, tmp_path):
    record = small_record()
    other = {
        "arms": dataclasses.replace(record, arms=("control", "treated", "third")),
        "seeds": dataclasses.replace(record, seeds=tuple(range(1, 13))),
        "budget": dataclasses.replace(record, budget={"steps": 6}),
        "task": dataclasses.replace(record, task="another"),
    }[part]
    assert disagreements(other, record)[0].startswith(part)


def test_missing_seeds_and_unknown_arms_are_refused():
    with pytest.raises(ValueError, match="one number for each of the 12 seeds"):
        small_record(metrics={"accuracy": {"control": [1.0]}})
    with pytest.raises(ValueError, match="not one of"):
        small_record(metrics={"accuracy": {"other": [1.0] * 12}})


def test_table_has_a_head_for_every_arm_and_row():
    html = small_record().table()._repr_html_()
    assert html.count('scope="col"') == 3 and html.count('scope="row"') == 1 and "<caption>" in html


def test_every_stored_record_belongs_to_an_experiment_and_every_experiment_has_one():
    assert sorted(path.stem for path in RECORDS.glob("*.json")) == sorted(experiments())


@pytest.mark.parametrize("path", sorted(RECORDS.glob("*.json")), ids=lambda path: path.stem)
def test_stored_records_name_what_they_must(path):
    record = load(path.stem)
    assert record.name == path.stem and record.task and record.budget and record.seconds > 0
    # What an interactive figure draws needs no interval; everything else does.
    assert len(record.seeds) >= 5 or path.stem.endswith("-figure")
    assert {"python", "torch", "processor"} <= set(record.versions)
    assert path.stat().st_size < 400_000
    assert json.dumps(record.versions).find("/") == -1


def test_sentences_are_markdown_and_text():
    sentence = say("two\n   words")
    assert sentence._repr_markdown_() == repr(sentence) == "two words"


class TestClaims:
    claim = "A-25"  # expects "+"

    def test_a_claim_carries_its_data(self):
        record = small_record()
        judged = claims.record(self.claim, record.effect("accuracy", "treated", "control"), source=record)
        bundle = judged._repr_mimebundle_()
        assert bundle[claims.MIME]["verdict"] == "shown" and bundle[claims.MIME]["seeds"] == 12
        assert 'id="claim-a-25"' in bundle["text/html"] and "12 paired seeds" in bundle["text/plain"]

    @pytest.mark.parametrize(
        ("low", "high", "verdict"),
        [(-1.0, 1.0, "shown"), (-2.0, -1.0, "shown"), (1.0, 2.0, "not shown here"), (1.0, 2.0, "refuted")],
    )
    def test_a_verdict_against_its_interval_is_refused(self, low, high, verdict):
        with pytest.raises(ValueError, match="claim A-25"):
            claims.record(self.claim, (low + high) / 2, (low, high), verdict)

    @pytest.mark.parametrize(
        ("low", "high", "verdict"), [(1.0, 2.0, "shown"), (-1.0, 1.0, "not shown here"), (-2.0, -1.0, "refuted")]
    )
    def test_a_verdict_with_its_interval_is_taken(self, low, high, verdict):
        assert claims.record(self.claim, (low + high) / 2, (low, high), verdict).verdict == verdict

    def test_unknown_ids_verdicts_and_missing_conditions_are_refused(self):
        with pytest.raises(KeyError, match="A-999"):
            claims.record("A-999", 1.0)
        with pytest.raises(ValueError, match="verdict must be one of"):
            claims.record(self.claim, 1.0, verdict="proved")
        with pytest.raises(ValueError, match="condition must be given"):
            claims.record(self.claim, 1.0, verdict="shown only if")

    def test_every_registered_claim_is_complete(self):
        for id, claim in claims.statements().items():
            assert set(claim) - {"made_from"} == {"chapter", "statement", "expect", "source"}, id
            assert claim["expect"] in ("+", "-", "0", "exact") and claim["statement"].endswith("."), id
