"""The replication: what it finds on the stored records is what the chapters print, and a changed effect is seen."""

import json
import shutil
from dataclasses import replace

import pytest

from book._scripts import replication
from book._scripts.chapters import chapters
from companion.experiments import claims, protocol
from companion.experiments.__main__ import experiments
from companion.experiments.protocol import RECORDS, load

CHAPTER = next(path for path in chapters() if path.stem.startswith("07"))


def test_on_the_stored_records_every_verdict_holds_and_every_effect_is_the_printed_one():
    ledger = (CHAPTER.parent / "claims.md").read_text(encoding="utf-8")
    found = replication.judged(CHAPTER, RECORDS)
    assert {"A-14-accuracy", "A-14d", "A-14b"} <= set(found)
    for claim in found.values():
        assert claim["holds"] and claim["effect"] in ledger


def test_a_turned_effect_does_not_hold(tmp_path):
    for path in RECORDS.glob("*.json"):
        shutil.copy(path, tmp_path)
    record = load("depth-schedules")
    swapped = {"linear": "constant", "constant": "linear", "full depth": "full depth"}
    turned = {metric: {swapped[arm]: values for arm, values in arms.items()} for metric, arms in record.metrics.items()}
    replace(record, metrics=turned).save(tmp_path)
    found = replication.judged(CHAPTER, tmp_path)
    assert not found["A-14d"]["holds"] and found["A-14b"]["holds"]


def test_nothing_stays_replaced():
    before = claims.record, protocol.verified, protocol.side_by_side, protocol.load.__defaults__
    replication.judged(CHAPTER, RECORDS)
    assert (claims.record, protocol.verified, protocol.side_by_side, protocol.load.__defaults__) == before


def test_seeds_are_moved_and_never_shared_with_the_stored_ones():
    for make in experiments().values():
        seeds = replication.shifted(make, 1000)
        if seeds is not None:
            assert len(seeds) == len(set(seeds)) and min(seeds) >= 1000


def test_what_is_stored_belongs_to_the_claims_of_the_chapters():
    stored = json.loads(replication.STORED.read_text(encoding="utf-8"))
    assert set(stored["claims"]) <= set(claims.statements())


@pytest.mark.parametrize("part", ["effect", "seeds", "holds"])
def test_every_measured_claim_was_measured_again(part):
    stored = json.loads(replication.STORED.read_text(encoding="utf-8"))["claims"]
    assert stored and all(part in claim for claim in stored.values())
