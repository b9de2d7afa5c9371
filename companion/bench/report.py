"""What is written of a run: the record, and the tables made from it."""

import os
import platform
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from companion import __version__
from companion.bench.measure import Clock
from companion.bench.peers import versions

__all__ = ["FAST_BERNOULLI", "missed", "print_tables", "printed", "rows", "surroundings"]

# Nanoseconds an element below which torch's bernoulli_ is one of a vendor's library: there F.dropout is no longer slow.
FAST_BERNOULLI = 2.0

# Instructions that decide how fast masks are drawn and applied.
_FLAGS = ("avx", "avx2", "avx512f", "avx512bw", "avx512vl", "fma", "amx_tile", "neon", "asimd", "sve")


def _processor() -> tuple[str, list[str]]:
    model, flags = platform.processor() or platform.machine(), []
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return model, flags
    for line in lines:
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "model name":
            model = value
        if key in ("flags", "Features"):
            flags = [flag for flag in _FLAGS if flag in value.split()]
            break
    return model, flags


def _commit() -> str:
    """The commit that was measured, with a "+" if the package had been changed since."""
    here = Path(__file__).parent
    try:
        run = ["git", "-C", str(here)]
        commit = subprocess.run([*run, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        layers = [str(here.parent / name) for name in ("layers", "masks.py", "schedules.py", "uncertainty")]
        changed = subprocess.run([*run, "status", "--porcelain", *layers], capture_output=True, text=True, check=True)
        return commit + ("+" if changed.stdout.strip() else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def surroundings(clock: Clock) -> dict[str, Any]:
    """Machine, versions and commit of a run."""
    model, flags = _processor()
    device = clock.device
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _commit(),
        "companion": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": model,
        "cpus": os.cpu_count(),
        "flags": flags,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "device": device.type,
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "clock": clock.name,
        "versions": versions(),
    }


def missed(record: dict[str, Any]) -> list[str]:
    """The goals that were judged and not met, in words."""
    return [
        f"{row['group']}: {row['case']}: {row['value']} beside {row['peer']}, goal {row['goal']}"
        for row in rows(record)
        if row["met"] is False
    ]


def printed(value: float) -> str:
    """A ratio with three significant digits, above 1 with two places: what is printed is what is judged."""
    return f"{value:.2f}" if value >= 0.9995 else f"{value:#.3g}"


def rows(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of the tables as texts: group, case, peer, value, goal, met (True, False or None: not judged), why."""
    for race in record["races"]:
        case = race["case"]
        if record["made"]["device"] == "cuda" and race["moved_bytes"]:
            case += f" ({race['gigabytes_per_second']:.0f} GB/s)"
        for other in race["others"]:
            yield {
                "group": race["group"],
                "case": case,
                "peer": other["peer"],
                "value": "not installed"
                if other["ratio"] is None
                else f"{printed(other['ratio'])} [{printed(other['low'])}, {printed(other['high'])}]",
                "fastest": "" if other["fastest"] is None else printed(other["fastest"]),
                "goal": "" if other["goal"] is None else f"≤ {other['goal']:g}",
                "met": other["met"],
                "why": other["why"],
            }
    for count in record["counts"]:
        low, high = count["low"], count["high"]
        goal = (
            ""
            if high is None
            else f"≤ {high:g}"
            if low is None
            else f"{low:g}"
            if low == high
            else f"{low:g} to {high:g}"
        )
        yield {
            "group": count["group"],
            "case": count["case"],
            "peer": "ours",
            "value": f"{count['ours']:.4g}",
            "fastest": "",
            "goal": goal,
            "met": count["met"],
            "why": count["why"],
        }
        for name, value in count["others"].items():
            text = "not installed" if value is None else value if isinstance(value, str) else f"{value:.4g}"
            yield {
                "group": count["group"],
                "case": count["case"],
                "peer": name,
                "value": text,
                "fastest": "",
                "goal": "",
                "met": None,
                "why": "",
            }


def print_tables(record: dict[str, Any], titles: dict[str, str]) -> None:
    """Prints one table a group, and the goals that were missed."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    marks = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}
    every = list(rows(record))
    for group in dict.fromkeys(row["group"] for row in every):
        counted = group in {count["group"] for count in record["counts"]}
        table = Table(title=titles[group], title_justify="left", title_style="bold")
        table.add_column("case", overflow="fold")
        table.add_column("way" if counted else "peer", overflow="fold")
        table.add_column("counted" if counted else "time, ours / peer [quartiles]", justify="right", overflow="fold")
        if not counted:
            table.add_column("of the fastest", justify="right")
        table.add_column("goal", justify="right")
        table.add_column("met?")
        last = None
        for row in (row for row in every if row["group"] == group):
            case = "" if row["case"] == last else escape(row["case"])
            last = row["case"]
            mark = marks[row["met"]] or escape(row["why"])
            fastest = [] if counted else [row["fastest"]]
            table.add_row(case, escape(row["peer"]), escape(row["value"]), *fastest, row["goal"], mark)
        console.print(table)
    for line in _closing(record, every):
        console.print(line, markup=False)


def _closing(record: dict[str, Any], every: Iterable[dict[str, Any]]) -> Iterator[str]:
    made = record["made"]
    cost = ", ".join(f"{value:.1f} ns at p = {p}" for p, value in made["bernoulli_ns"].items())
    yield f"torch's bernoulli_ costs {cost} an element" + (
        f": below {FAST_BERNOULLI:g} ns, so ratios that rest on it are not judged." if made["fast_bernoulli"] else "."
    )
    judged = [row["met"] for row in every if row["met"] is not None]
    yield f"{sum(judged)} of {len(judged)} judged goals met."
    for line in missed(record):
        yield f"  missed: {line}"
