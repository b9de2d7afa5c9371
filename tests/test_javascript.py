"""Runs the script tests of tests/js with node: the one in PATH, or the one that playwright brings."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent / "js"
WIDGETS = HERE.parents[1] / "companion" / "widgets"


def _playwrights_node() -> str | None:
    try:
        import playwright
    except ImportError:
        return None
    found = [path for path in (Path(playwright.__file__).parent / "driver").glob("node*") if path.is_file()]
    return str(found[0]) if found else None


@pytest.fixture(scope="module")
def node() -> str:
    found = shutil.which("node") or _playwrights_node()
    if found is None:
        message = "no node found: install nodejs, or playwright, which brings one (pip install -e .[test])"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return found


@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.mjs")), ids=lambda path: path.name)
def test_scripts(node, path):
    done = subprocess.run([node, "--test", str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^(#|ℹ) pass [1-9]", done.stdout, re.MULTILINE), "no test ran"


def test_every_figure_has_script_tests():
    figures = {path.stem for path in WIDGETS.glob("*.js")}
    assert figures <= {path.name.removesuffix(".test.mjs") for path in HERE.glob("*.test.mjs")}
