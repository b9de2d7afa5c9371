"""Makes the page of benchmarks from the recorded runs.

    python book/_scripts/benchmarks.py

The page holds what stands in companion/bench/records and nothing else; a test compares the two.
"""

import json
from html import escape
from itertools import groupby
from pathlib import Path

from companion.bench.cases import GROUPS
from companion.bench.report import FAST_BERNOULLI, rows
from companion.files import write_whole

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "book" / "reference" / "benchmarks.md"
RECORDS = ROOT / "companion" / "bench" / "records"

HEAD = """\
# Benchmarks

How long the layers take beside their peers, and what else can be counted: cells dropped, bytes kept, compilations. The
numbers are those of the recorded runs below; this page is made from the records, and a test fails when the two differ.
A goal that was missed is printed as missed.

A run of your own:

```bash
pip install 'dropout-companion[bench]'
python -m companion.bench                              # every case: some ten minutes
python -m companion.bench --only drop-block --only mc  # some of them
python -m companion.bench --device cuda --json gpu.json
```

Peers take part where they can be imported; `--peers` takes a folder with their unpacked sources, which needs none of
their other dependencies:

```bash
pip download --no-deps --dest wheels timm torchvision baal torch-uncertainty einops
for wheel in wheels/*.whl; do unzip -q -o "$wheel" -d peers; done
python -m companion.bench --peers peers
```

**How to read the tables.** A ratio of 0.25 says that ours takes a quarter of the peer's time: the median over rounds,
with the quartiles in brackets. In a round every way runs once, for at least a fiftieth of a second, and the order is
reversed from round to round; a ratio is taken within a round, so that a machine which is slow for a while is slow for
both. The clock is the CPU time of one thread (on a GPU the device's own). Where a peer's time is mostly torch's
`bernoulli_`, the goal is for processors on which that is slow. Rows in italics are not peers but bounds: what any layer
has to do at least, or the same work without dropout.

**Two runs on the CPU.** In the first, memory is as users have it: on Linux the C library gives large blocks back to the
kernel, always above 32 MB and by the luck of the heap above 16, and fetching one anew for every output costs more than
most layers do, for ours and theirs alike. In the second the process keeps its memory (`--keep-memory`), and what is
left is the work itself. The same goals stand beside both.

**Where ours is slower.** A place that is dropped is zero here whatever stood in it, infinity included. A product with a
scaled mask, as most peers have it, is a single pass over memory and gives NaN there; where one coin decides about many
cells (spatial and locked dropout) ours takes a second pass. On tensors of a few hundred elements what is timed is a few
microseconds of Python.
"""

TAIL = """\
## How it is measured

A case of your own is a few lines in `companion/bench/cases.py`.

```{eval-rst}
.. automodule:: companion.bench.measure

.. automodule:: companion.bench.peers

.. automodule:: companion.bench.cases
```
"""

BOUNDS = ("x * c", "copy", "a random byte", "F.linear(x, W)", "F.conv2d(x, W)", "F.embedding", "nn.LSTM", "only the")


def records() -> list[dict]:
    """The recorded runs, by file name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RECORDS.glob("*.json"))]


def _where(made: dict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    cost = " and ".join(f"{value:.1f} ns at p = {p}" for p, value in made["bernoulli_ns"].items())
    rests = (
        f"less than {FAST_BERNOULLI:g} ns, so the ratios that rest on a slow `bernoulli_` are not judged here"
        if made["fast_bernoulli"]
        else "so the ratios that rest on a slow `bernoulli_` are judged"
    )
    flags = f" ({', '.join(made['flags'])})" if made["flags"] else ""
    machine = made["gpu"] or f"{made['cpu']}{flags}, kernels for {made['capability']}"
    commit = made["commit"][:10] + ("+" if made["commit"].endswith("+") else "")
    load = "" if made["load"] is None else f" Load of the machine when it began: {made['load']:.1f}."
    return (
        f"{machine}; {made['system']}, {made['threads']} thread, Python {made['python']}; {versions}. "
        f"{made['date']}, commit {commit}, {made['rounds']} rounds, {made['seconds'] / 60:.0f} minutes.{load} "
        f"One element of torch's `bernoulli_` costs {cost}: {rests}.\n\n"
        f"`{made['command']}`\n"
    )


def _met(row: dict) -> str:
    return {True: "yes", False: "<strong>no</strong>", None: escape(row["why"])}[row["met"]]


def _table(title: str, found: list[dict], counted: bool) -> str:
    name, value = ("way", "counted") if counted else ("peer", "time, ours / peer [quartiles]")
    lines = []
    for case, group in groupby(found, key=lambda row: row["case"]):
        together = list(group)
        head = f'<th scope="rowgroup" rowspan="{len(together)}">{escape(case)}</th>'
        body = []
        for row in together:
            peer = escape(row["peer"])
            peer = f"<em>{peer}</em>" if row["peer"].startswith(BOUNDS) else peer
            body.append(
                f"<tr>{head}<td>{peer}</td><td>{escape(row['value'])}</td><td>{row['goal']}</td><td>{_met(row)}</td></tr>"
            )
            head = ""
        lines.append("<tbody>" + "\n".join(body) + "</tbody>")
    columns = "".join(f'<th scope="col">{column}</th>' for column in ("case", name, value, "goal", "met?"))
    return (
        f'<div class="companion-table claims" role="region" aria-label="{escape(title)}" tabindex="0">\n'
        f"<table><thead><tr>{columns}</tr></thead>\n" + "\n".join(lines) + "\n</table></div>\n"
    )


def page(found: list[dict]) -> str:
    """The text of the page."""
    parts = [HEAD]
    for record in found:
        every = list(rows(record))
        judged = [row["met"] for row in every if row["met"] is not None]
        device = {"cpu": "one CPU thread", "cuda": "a GPU"}[record["made"]["device"]]
        kept = ", memory kept" if record["made"]["memory_kept"] else ""
        parts.append(f"## On {device}{kept}\n\n{_where(record['made'])}")
        if judged:
            parts.append(f"{sum(judged)} of {len(judged)} goals were met.\n")
        counted = {count["group"] for count in record["counts"]}
        for group, (title, _) in GROUPS.items():
            if of_group := [row for row in every if row["group"] == group]:
                parts.append(f"### {title}{kept}\n\n{_table(title, of_group, group in counted)}")
    return "\n".join([*parts, TAIL])


def main() -> None:
    found = records()
    write_whole(PAGE, page(found))
    print(f"{PAGE.name}: {len(found)} recorded runs")


if __name__ == "__main__":
    main()
