"""Repeats every trained experiment with other seeds, and judges every claim of the chapters on the new records.

    python -m book._scripts.replication [--shift 1000] [--records FOLDER] [record ...]

An interval from one set of seeds may exclude zero by luck. So every experiment that takes seeds runs again with each of
them moved by ``shift``; then the cells of each chapter run on the new records, and each ``claims.record(...)`` says
whether its verdict would still be allowed. What comes out is stored beside the records, and the ledger prints it.
"""

import argparse
import inspect
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import nbformat
import torch
from IPython.core.inputtransformer2 import TransformerManager

from book._scripts.chapters import chapters
from companion.experiments import claims, protocol
from companion.experiments.__main__ import experiments
from companion.experiments.protocol import RECORDS, Effect, Record
from companion.files import write_whole

ROOT = Path(__file__).resolve().parents[2]
STORED = RECORDS.parent / "replication.json"


def shifted(make: Callable[..., Record], shift: int) -> list[int] | None:
    """The seeds of an experiment, each moved by ``shift``; None if it takes no seeds."""
    parameter = inspect.signature(make).parameters.get("seeds")
    return None if parameter is None else [seed + shift for seed in parameter.default]


def make_records(folder: Path, shift: int, names: list[str]) -> None:
    """Runs the experiments with other seeds and stores their records in ``folder``; those that are there stay."""
    torch.set_num_threads(1)
    for name, make in sorted(experiments().items()):
        seeds = shifted(make, shift)
        if seeds is None or (names and name not in names) or (folder / f"{name}.json").exists():
            continue
        record = make(seeds=seeds)
        record.save(folder)
        print(f"{name}: {record.seconds:g} s", flush=True)


def _cells(chapter: Path) -> list[str]:
    transform = TransformerManager().transform_cell
    return [transform(cell.source) for cell in nbformat.read(chapter, as_version=4).cells if cell.cell_type == "code"]


def judged(chapter: Path, folder: Path) -> dict[str, dict]:
    """What the claims of a chapter come to on the records in ``folder``: id -> effect and whether the verdict holds."""
    found: dict[str, dict] = {}
    record = claims.record

    def judge(id: str, effect: Effect | float | str, *args, source: Record | None = None, **how):
        holds = True
        try:
            record(id, effect, *args, source=source, **how)
        except ValueError:
            holds = False
        if isinstance(effect, Effect) and source is not None and len(source.seeds):
            found[id] = {
                "effect": format(effect, how.get("digits", ".3g")),
                "seeds": list(source.seeds),
                "holds": holds,
            }

    def kept(name: str) -> Callable[..., Record]:
        return lambda *args, **settings: protocol.load(name)

    patches = [
        patch.object(sys.modules[make.__module__], make.__name__, kept(name)) for name, make in experiments().items()
    ]
    patches += [
        patch.object(claims, "record", judge),
        patch.object(protocol, "verified", lambda result, *args, **settings: protocol.load(result.name)),
        patch.object(protocol, "side_by_side", lambda *makes: [make() for make in makes]),
        patch.object(protocol.load, "__defaults__", (folder,)),  # pictures and figures load records, too
    ]
    for replaced in patches:
        replaced.start()
    try:
        names: dict = {"__name__": "__main__", "display": lambda *shown: None}
        for number, source in enumerate(_cells(chapter)):
            try:
                exec(compile(source, f"{chapter.stem}, code cell {number}", "exec"), names)
            except Exception as error:  # a cell may assert what held with the chapter's own seeds only
                print(f"{chapter.stem}, code cell {number}: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        for replaced in reversed(patches):
            replaced.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shift", type=int, default=1000, help="what is added to every seed (default: 1000)")
    parser.add_argument(
        "--records", type=Path, default=ROOT / "_build" / "replication", help="folder of the new records"
    )
    parser.add_argument("names", nargs="*", help="records to make; default: all that the folder lacks")
    args = parser.parse_args()
    args.records.mkdir(parents=True, exist_ok=True)
    make_records(args.records, args.shift, args.names)
    found = {}
    with tempfile.TemporaryDirectory() as both:  # what was not made again is as it is stored, and is not reported
        for path in [*RECORDS.glob("*.json"), *args.records.glob("*.json")]:
            shutil.copy(path, both)
        for chapter in chapters():
            found |= judged(chapter, Path(both))
    found = {id: result for id, result in found.items() if min(result["seeds"]) >= args.shift}
    for id, result in found.items():
        print(f"{'holds' if result['holds'] else 'DOES NOT HOLD':14} {id:22} {result['effect']}")
    text = json.dumps({"shift": args.shift, "claims": found}, indent=1, ensure_ascii=False) + "\n"
    write_whole(STORED, text)


if __name__ == "__main__":
    main()
