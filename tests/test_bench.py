"""The benchmark: how it times, judges, finds peers and reports. Nothing here depends on how fast this machine is."""

import importlib.util
import json
import math
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from companion.bench import __main__ as bench
from companion.bench import peers
from companion.bench.cases import GROUPS, Count, Race
from companion.bench.measure import Clock, Spread, interleaved, kept_for_backward, ratio
from companion.bench.report import missed, printed, rows

ROOT = Path(__file__).resolve().parents[1]
RECORDS = sorted((ROOT / "companion" / "bench" / "records").glob("*.json"))


class Costs:
    """A clock of stated costs: seconds a call, times how slow the machine is at that moment."""

    def __init__(self, seconds, slow=()):
        self.seconds, self.slow, self.order = seconds, list(slow), []

    def __call__(self, way, repetitions):
        name = way()
        self.order.append((name, repetitions))
        factor = self.slow[len(self.order) % len(self.slow)] if self.slow else 1.0
        return self.seconds[name] * repetitions * factor


def named(*names):
    return {name: lambda name=name: name for name in names}


# --- timing -----------------------------------------------------------------------------------------------------------


def test_ways_take_turns_and_the_order_is_reversed():
    clock = Costs({"a": 1.0, "b": 2.0, "c": 3.0})
    samples = interleaved(named("a", "b", "c"), clock=clock, rounds=4, least=0.5)
    assert [name for name, _ in clock.order[-12:]] == list("abccbaabccba")
    assert samples == {"a": [1.0] * 4, "b": [2.0] * 4, "c": [3.0] * 4}


def test_samples_last_long_enough():
    clock = Costs({"slow": 0.3, "quick": 1e-6})
    samples = interleaved(named("slow", "quick"), clock=clock, rounds=2, least=0.02)
    repetitions = dict(clock.order[-2:])
    assert repetitions["slow"] == 1
    assert 0.02 <= 1e-6 * repetitions["quick"] < 0.2
    assert samples["quick"] == pytest.approx([1e-6] * 2)


def test_a_slow_moment_does_not_move_the_ratio():
    # Half of the rounds are five times slower: the ratio within a round knows nothing of it.
    ours, theirs = [1.0, 5.0, 1.0, 5.0, 1.0], [4.0, 20.0, 4.0, 20.0, 4.0]
    assert ratio(ours, theirs) == Spread(0.25, 0.25, 0.25)
    assert Spread.of([1.0, 2.0, 3.0, 4.0, 5.0]) == Spread(3.0, 2.0, 4.0)


def test_the_clock_counts_work_and_not_waiting():
    clock = Clock("cpu")
    assert clock(lambda: time.sleep(0.05), 1) < 0.02

    def work():
        start = time.thread_time()
        while time.thread_time() - start < 0.02:
            pass

    assert clock(work, 2) >= 0.04


def test_one_round_is_refused():
    with pytest.raises(ValueError, match="rounds must be at least 2, got 1"):
        interleaved(named("a"), clock=Costs({"a": 1.0}), rounds=1, least=0.1)


def test_memory_kept_for_the_backward_pass():
    x = torch.randn(100, requires_grad=True)
    assert kept_for_backward(lambda: x * 2) == 0
    assert kept_for_backward(lambda: x.exp()) == 400
    assert kept_for_backward(lambda: x * x) == 400  # one memory, saved twice
    assert kept_for_backward(lambda: F.dropout(x, 0.5)) == 400
    assert kept_for_backward(lambda: x.exp().exp()) == 800


# --- judging ----------------------------------------------------------------------------------------------------------


def judged(seconds, goals, *, drawing=(), fast_bernoulli=False, judge=True):
    race = Race("work", lambda: "ours", {**named("theirs"), "absent": None}, goals, frozenset(drawing))
    clock = Costs({"ours": seconds, "theirs": 1.0})
    settings = {"clock": clock, "rounds": 3, "least": 0.01, "fast_bernoulli": fast_bernoulli, "judge": judge}
    return {other["peer"]: other for other in bench.run_race(race, **settings)["others"]}


@pytest.mark.parametrize(("seconds", "met"), [(0.25, True), (0.30, True), (0.3004, True), (0.301, False)])
def test_a_goal_is_the_largest_ratio_that_is_good_enough(seconds, met):
    theirs = judged(seconds, {"theirs": 0.30})["theirs"]
    assert theirs["ratio"] == pytest.approx(seconds) and theirs["fastest"] == pytest.approx(seconds)
    assert theirs["met"] is met


def test_ratios_are_printed_as_far_as_they_are_judged():
    assert [printed(value) for value in (0.06944, 0.3004, 0.9996, 1.054, 14.279)] == [
        "0.0694",
        "0.300",
        "1.00",
        "1.05",
        "14.28",
    ]


def test_what_is_not_judged():
    assert judged(2.0, {})["theirs"]["met"] is None
    assert judged(2.0, {"theirs": 1.0}, judge=False)["theirs"]["met"] is None
    absent = judged(2.0, {"absent": 1.0})["absent"]
    assert absent["met"] is None and absent["ratio"] is None


def test_on_a_cpu_with_a_fast_bernoulli_only_the_ratios_that_rest_on_it_are_left_open():
    theirs = judged(2.0, {"theirs": 1.0}, drawing=["theirs"], fast_bernoulli=True)["theirs"]
    assert theirs["met"] is None and theirs["why"] == "does not apply: bernoulli_ is fast here"
    assert judged(2.0, {"theirs": 1.0}, fast_bernoulli=True)["theirs"]["met"] is False
    assert judged(2.0, {"theirs": 1.0}, drawing=["theirs"])["theirs"]["met"] is False


@pytest.mark.parametrize(("value", "met"), [(0.094, False), (0.095, True), (0.105, True), (0.106, False)])
def test_counts_are_judged_by_their_bounds(value, met):
    count = Count("share", lambda: value, {"peer": lambda: "ValueError: odd", "absent": None}, low=0.095, high=0.105)
    result = bench.run_count(count, judge=True)
    assert result["met"] is met
    assert result["others"] == {"peer": "ValueError: odd", "absent": None}
    assert bench.run_count(count, judge=False)["met"] is None
    assert bench.run_count(Count("share", lambda: value, {}), judge=True)["met"] is None


# --- peers ------------------------------------------------------------------------------------------------------------


def test_a_folder_of_sources_is_enough(tmp_path, monkeypatch):
    for package in ("crowded", "crowded/layers"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise ImportError('needs half of the world')")
    (tmp_path / "crowded" / "utils.py").write_text("factor = 3")
    (tmp_path / "crowded" / "layers" / "drop.py").write_text("from ..utils import factor\ndef f(x): return factor * x")
    monkeypatch.setattr(peers, "LAYERS", {"crowded": ["crowded.layers.drop"]})
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert peers.find("crowded.layers.drop", "f") is None
    assert peers.versions()["crowded"] == "not installed"
    try:
        peers.use(tmp_path)
        assert peers.find("crowded.layers.drop", "f")(2) == 6
        assert peers.versions()["crowded"] == "source"
        assert peers.find("crowded.layers.drop", "g") is None
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "crowded"]:
            del sys.modules[name]


def test_a_folder_that_is_not_there_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        bench.main(["--peers", str(tmp_path / "nowhere")])
    assert "peers must be a folder with unpacked packages" in capsys.readouterr().err


# --- records ----------------------------------------------------------------------------------------------------------

NUMBER = (int, float)
MADE = {
    "date": str,
    "commit": str,
    "companion": str,
    "python": str,
    "system": str,
    "cpu": str,
    "cpus": int,
    "flags": list,
    "capability": str,
    "threads": int,
    "device": str,
    "gpu": (str, type(None)),
    "clock": str,
    "versions": dict,
    "quick": bool,
    "rounds": int,
    "bernoulli_ns": dict,
    "fast_bernoulli": bool,
    "load": (float, type(None)),
    "seconds": int,
    "command": str,
    "memory_kept": bool,
}


def check(record):
    """The form of a record; raises AssertionError or KeyError where it is another."""
    assert set(record) == {"made", "races", "counts"}
    assert set(record["made"]) == set(MADE)
    for key, kind in MADE.items():
        assert isinstance(record["made"][key], kind), key
    assert record["made"]["threads"] == 1
    for race in record["races"]:
        assert race["group"] in GROUPS and race["case"] and race["seconds"] > 0 and race["rounds"] >= 2
        assert (race["gigabytes_per_second"] is None) == (race["moved_bytes"] == 0)
        assert race["others"]
        for other in race["others"]:
            assert set(other) == {"peer", "ratio", "low", "high", "fastest", "seconds", "goal", "met", "why"}
            if other["ratio"] is not None:
                assert 0 < other["low"] <= other["ratio"] <= other["high"] < math.inf
                assert other["fastest"] > 0 and other["seconds"] > 0
            assert other["met"] is None or (other["met"] == (float(printed(other["ratio"])) <= other["goal"]))
    for count in record["counts"]:
        assert set(count) == {"group", "case", "ours", "others", "low", "high", "met", "why"}
        assert count["group"] in GROUPS and isinstance(count["ours"], NUMBER)
        assert all(value is None or isinstance(value, (*NUMBER, str)) for value in count["others"].values())


@pytest.mark.parametrize("group", list(GROUPS))
def test_every_group_runs(group):
    record = bench.run([group], quick=True, rounds=2)
    record["made"]["command"] = ""
    check(json.loads(json.dumps(record)))
    assert {entry["group"] for entry in record["races"] + record["counts"]} == {group}
    cases = [entry["case"] for entry in record["races"] + record["counts"]]
    assert len(set(cases)) == len(cases)
    assert all(row["met"] is None for row in rows(record))  # tiny sizes judge nothing


def test_the_command_prints_tables_and_writes_the_record(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    path = tmp_path / "deep" / "run.json"
    bench.main(["--quick", "--only", "gaussian", "--json", str(path), "--peers", str(tmp_path)])
    record = json.loads(path.read_text(encoding="utf-8"))
    check(record)
    assert record["made"]["command"] == "python -m companion.bench --only gaussian --quick --peers FOLDER"
    printed = capsys.readouterr().out
    assert "Gaussian dropout" in printed and "0 of 0 judged goals met" in printed
    assert [entry.name for entry in path.parent.iterdir()] == ["run.json"]


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--rounds", "1"], ["--device", "cuda"]])
def test_wrong_arguments_are_refused(arguments, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        bench.main(arguments)
    assert ended.value.code == 2 and arguments[0] in capsys.readouterr().err


def test_without_rich_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(SystemExit, match=r"pip install 'dropout-companion\[bench\]'"):
        bench.main(["--quick", "--only", "gaussian"])


# --- the page ---------------------------------------------------------------------------------------------------------


def script():
    spec = importlib.util.spec_from_file_location("benchmarks", ROOT / "book" / "_scripts" / "benchmarks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_the_recorded_runs_are_whole(path):
    record = json.loads(path.read_text(encoding="utf-8"))
    check(record)
    assert not record["made"]["quick"]
    assert not record["made"]["commit"].endswith("+"), "recorded from layers that were not committed"
    assert {entry["group"] for entry in record["races"] + record["counts"]} == set(GROUPS)
    assert not any(word in json.dumps(record) for word in ("/home/", "/work/", "/tmp/"))


def test_the_page_is_what_the_records_hold():
    tool = script()
    assert RECORDS
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(tool.records())


def test_a_changed_ratio_and_a_missed_goal_are_seen():
    tool = script()
    (record, *_), page = tool.records(), tool.page(tool.records())
    goal = next(other for race in record["races"] for other in race["others"] if other["met"])
    goal |= {"ratio": 0.123, "met": False, "goal": 0.1}
    changed = tool.page([record, *tool.records()[1:]])
    assert changed != page
    assert changed.count("<strong>no</strong>") == page.count("<strong>no</strong>") + 1
    assert any("0.123 " in line for line in missed(record))
