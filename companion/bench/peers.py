"""The others' layers, where they can be imported.

All of them are optional. Whoever has the packages installed needs nothing more. Where their other dependencies are in
the way, a folder with their sources is enough::

    pip download --no-deps --dest wheels timm torchvision baal torch-uncertainty einops
    for wheel in wheels/*.whl; do unzip -q -o "$wheel" -d peers; done
    python -m companion.bench --peers peers

From such a folder only the files that hold the layers are run, not the ``__init__`` files of the packages around them.
"""

import importlib
import importlib.metadata
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["LAYERS", "find", "use", "versions"]

# Distribution -> the modules that hold its layers.
LAYERS = {
    "timm": ["timm.layers.drop"],
    "torchvision": ["torchvision.ops.drop_block", "torchvision.ops.stochastic_depth"],
    "torch-uncertainty": ["torch_uncertainty.methods.mc_dropout"],
    "baal": ["baal.bayesian.dropout", "baal.bayesian.weight_drop"],
    "dropblock": ["dropblock.dropblock"],
}


def use(folder: Path) -> None:
    """Lets the modules of ``LAYERS`` be imported from ``folder``, without the packages that they belong to."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"peers must be a folder with unpacked packages, got {folder}")
    sys.path.append(str(folder))  # for their versions, and for small packages that they import
    for module in (module for modules in LAYERS.values() for module in modules):
        parts = module.split(".")
        for package in (".".join(parts[:depth]) for depth in range(1, len(parts))):
            path = folder.joinpath(*package.split("."))
            if path.is_dir() and package not in sys.modules:
                sys.modules[package] = types.ModuleType(package)
                sys.modules[package].__path__ = [str(path)]


def find(module: str, name: str) -> Callable[..., Any] | None:
    """``name`` of ``module``, or None where it cannot be imported."""
    try:
        return getattr(importlib.import_module(module), name)
    except Exception:  # compiled parts that do not fit the installed torch raise whatever they like
        return None


def versions() -> dict[str, str]:
    """Version of each package that takes part; "source" for one without metadata, "not installed" for one missing."""
    found = {}
    for name in ["torch", "numpy", *LAYERS]:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing = name in LAYERS and not _importable(LAYERS[name][0])
            found[name] = "not installed" if missing else "source"
    return found


def _importable(module: str) -> bool:
    try:
        importlib.import_module(module)
    except Exception:
        return False
    return True
