"""Times every layer beside its peers: ``python -m companion.bench [--only NAME] [--json PATH] [--peers FOLDER]``."""

import argparse
import json
import math
import os
import shlex
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from companion.bench.cases import GROUPS, Count, Race, Scale
from companion.bench.measure import Clock, interleaved, keep_memory, nanoseconds_of_bernoulli, ratio
from companion.bench.peers import use
from companion.bench.report import FAST_BERNOULLI, print_tables, printed, surroundings
from companion.files import write_whole


def run_race(
    race: Race, *, clock: Clock, rounds: int, least: float, fast_bernoulli: bool, judge: bool
) -> dict[str, Any]:
    """Times a race and judges its goals; ``judge=False`` leaves them open."""
    present = {name: way for name, way in race.others.items() if way is not None}
    samples = interleaved({"ours": race.ours, **present}, clock=clock, rounds=rounds, least=least)
    others = []
    for name in race.others:
        goal = race.goals.get(name)
        other = {"peer": name, "goal": goal, "met": None}
        other |= dict.fromkeys(("ratio", "low", "high", "fastest", "seconds"))
        why = ""
        if name in present:
            spread = ratio(samples["ours"], samples[name])
            other |= {"ratio": spread.median, "low": spread.low, "high": spread.high}
            other["fastest"] = min(samples["ours"]) / min(samples[name])
            other["seconds"] = statistics.median(samples[name])
            if goal is not None and name in race.drawing and fast_bernoulli:
                why = "does not apply: bernoulli_ is fast here"
            elif goal is not None and judge:
                other["met"] = float(printed(spread.median)) <= goal
        others.append(other | {"why": why})
    seconds = statistics.median(samples["ours"])
    return {
        "case": race.case,
        "rounds": rounds,
        "seconds": seconds,
        "moved_bytes": race.moved,
        "gigabytes_per_second": race.moved / seconds * 1e-9 if race.moved else None,
        "others": others,
    }


def run_count(count: Count, *, judge: bool) -> dict[str, Any]:
    """Counts and judges."""
    ours = count.ours()
    judged = judge and (count.low, count.high) != (-math.inf, math.inf)
    return {
        "case": count.case,
        "ours": ours,
        "others": {name: way and way() for name, way in count.others.items()},
        "low": count.low if math.isfinite(count.low) else None,
        "high": count.high if math.isfinite(count.high) else None,
        "met": count.low <= ours <= count.high if judged else None,
        "why": "",
    }


def run(
    names: list[str],
    *,
    device: str = "cpu",
    quick: bool = False,
    rounds: int = 15,
    keep: bool = False,
    say=lambda line: None,
) -> dict[str, Any]:
    """Runs the groups of cases called ``names`` and returns the record.

    ``keep`` has the process keep its memory for good. Goals are judged on full sizes only, and those of races on the
    CPU only, for which they were stated.
    """
    torch.set_num_threads(1)
    kept = keep and keep_memory()
    clock, scale = Clock(device), Scale(torch.device(device), quick)
    least = 0.0002 if quick else 0.02
    made = surroundings(clock)  # before anything can change
    start, load = time.monotonic(), os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    cost = {str(p): nanoseconds_of_bernoulli(p, clock, rounds=2 if quick else 7, least=least) for p in (0.1, 0.5)}
    fast = statistics.mean(cost.values()) < FAST_BERNOULLI
    races, counts = [], []
    for name in names:
        torch.manual_seed(0)
        for case in GROUPS[name][1](scale):
            say(f"{name}: {case.case}")
            if isinstance(case, Race):
                judge = not quick and device == "cpu"
                result = run_race(case, clock=clock, rounds=rounds, least=least, fast_bernoulli=fast, judge=judge)
                races.append({"group": name, **result})
            else:
                counts.append({"group": name, **run_count(case, judge=not quick)})
    made |= {
        "quick": quick,
        "rounds": rounds,
        "bernoulli_ns": cost,
        "fast_bernoulli": fast,
        "memory_kept": kept,
        "load": load,
        "seconds": round(time.monotonic() - start),
    }
    return {"made": made, "races": races, "counts": counts}


def _command(options: argparse.Namespace) -> str:
    """The command that makes this record on any machine: paths of this one are left out."""
    words = ["python", "-m", "companion.bench"]
    for name in options.only or []:
        words += ["--only", name]
    words += ["--quick"] if options.quick else []
    words += ["--rounds", str(options.rounds)] if options.rounds else []
    words += ["--device", options.device] if options.device != "cpu" else []
    words += ["--keep-memory"] if options.keep_memory else []
    words += ["--peers", "FOLDER"] if options.peers else []
    return shlex.join(words)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m companion.bench", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=list(GROUPS),
        metavar="NAME",
        help=f"a group of cases, repeatable: {', '.join(GROUPS)}",
    )
    parser.add_argument("--rounds", type=int, default=None, help="rounds of every race (default: 15, with --quick 2)")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: shows that the benchmark runs, judges nothing"
    )
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument(
        "--keep-memory",
        action="store_true",
        help="let the process keep what tensors give back, so that fetching memory anew costs nothing",
    )
    parser.add_argument("--peers", type=Path, metavar="FOLDER", help="unpacked sources of peers that are not installed")
    parser.add_argument("--json", type=Path, metavar="PATH", help="where to write the record")
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 2:
        parser.error(f"--rounds must be at least 2, got {options.rounds}")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch sees no GPU here")
    try:
        import rich  # noqa: F401
    except ImportError:
        sys.exit("the tables need rich: pip install 'dropout-companion[bench]'")
    if options.peers:
        try:
            use(options.peers)
        except FileNotFoundError as error:
            parser.error(str(error))
    record = run(
        options.only or list(GROUPS),
        device=options.device,
        quick=options.quick,
        rounds=options.rounds or (2 if options.quick else 15),
        keep=options.keep_memory,
        say=lambda line: print(line, file=sys.stderr),
    )
    record["made"]["command"] = _command(options)
    print_tables(record, {name: title for name, (title, _) in GROUPS.items()})
    if options.json:
        write_whole(options.json, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
