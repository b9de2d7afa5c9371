"""Makes records anew: ``python -m companion.experiments [name ...]``; without names, all of them.

Every module of this package that has a table ``EXPERIMENTS`` (record name -> function that returns the record)
takes part.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable

import torch

import companion.experiments
from companion.experiments.protocol import Record


def experiments() -> dict[str, Callable[[], Record]]:
    """All recorded experiments by name."""
    found: dict[str, Callable[[], Record]] = {}
    for module in pkgutil.iter_modules(companion.experiments.__path__):
        if module.name != "__main__":
            found |= getattr(importlib.import_module(f"companion.experiments.{module.name}"), "EXPERIMENTS", {})
    return found


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    known = experiments()
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f"names must be among {sorted(known)}, got {unknown}")
    for name in names or sorted(known):
        record = known[name]()
        if record.name != name:
            sys.exit(f"the experiment {name!r} returned a record named {record.name!r}")
        print(f"{record.save().name}: {record.seconds:g} s")


if __name__ == "__main__":
    main(sys.argv[1:])
