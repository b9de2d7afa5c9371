"""What the set-up and the site's configuration promise, checked without building anything."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGES = sorted(path for path in (ROOT / "book").rglob("*.md") if "_" != path.relative_to(ROOT / "book").parts[0][0])


def _tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True).stdout.split("\0")
    if names == [""]:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def _toc_files() -> list[str]:
    def files(entries: list[dict]) -> list[str]:
        return [name for entry in entries for name in (entry["file"], *files(entry.get("sections", [])))]

    return [TOC["root"], *(name for part in TOC["parts"] for name in files(part["chapters"]))]


def _names(path: str) -> set[str]:
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return {re.split(r"[=<>\[ ]", line)[0].lower().replace("_", "-") for line in lines if line and line[0] != "#"}


def test_every_entry_of_the_contents_exists_once():
    files = _toc_files()
    assert len(files) == len(set(files))
    missing = [name for name in files if not list(ROOT.glob(f"{name}.*"))]
    assert not missing


def test_every_page_and_notebook_is_in_the_contents():
    written = {path.relative_to(ROOT).with_suffix("").as_posix() for path in [*PAGES, *ROOT.glob("book/**/*.ipynb")]}
    written = {name for name in written if ".ipynb_checkpoints" not in name}
    assert written <= set(_toc_files())


def test_notebooks_are_never_executed_by_the_build():
    assert CONFIG["execute"]["execute_notebooks"] == "off"


def test_the_build_looks_only_where_the_book_is():
    assert CONFIG["only_build_toc_files"] is True
    assert {".*", "**/.*", "exercises", "tests"} <= set(CONFIG["exclude_patterns"])
    assert not (ROOT / "_static").exists(), "Jupyter Book loads every script below a _static at the root on every page"


def test_no_extension_brings_a_live_code_server_or_a_widget_manager():
    assert "sphinx_thebe" not in CONFIG["sphinx"]["config"]["extensions"]
    assert CONFIG["sphinx"]["config"]["nb_ipywidgets_js"] == {}


def test_own_style_sheets_load_nothing_from_elsewhere():
    for sheet in [*ROOT.glob("book/_static/*.css"), *ROOT.glob("companion/**/*.css")]:
        found = re.findall(r"url\([^)]*\)|@import", sheet.read_text(encoding="utf-8"))
        assert [entry for entry in found if not entry.startswith(("url(data:", "url(#"))] == [], sheet.name


def test_addresses_stand_in_one_place_only():
    repository = CONFIG["repository"]["url"].removeprefix("https://")
    readers = {"_config.yml"}
    for path in _tracked():
        name = path.relative_to(ROOT).as_posix()
        if name in readers or name.startswith("tests/") or path.suffix in (".ipynb", ".png", ".ico"):
            continue  # notebooks carry the install cell, which is made from the setting
        assert repository not in path.read_text(encoding="utf-8"), f"{name} repeats the repository's address"


def test_every_declared_dependency_is_pinned():
    declared = [*PROJECT["dependencies"], *(d for extra in PROJECT["optional-dependencies"].values() for d in extra)]
    names = {re.split(r"[=<>\[ ]", entry)[0].lower().replace("_", "-") for entry in declared} - {PROJECT["name"]}
    assert names <= _names("constraints.txt")


def test_constraints_hold_for_everyone():
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"(#.*|[\w.-]+==[\w.]+)", line), f"not a plain pin: {line}"


def test_conda_only_points_at_the_one_truth():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert entries[-1] == {"pip": ["-c constraints.txt", "-e .[book,test]"]}
    assert [str(entry).split("=")[0] for entry in entries[:-1]] == ["python", "pip"]


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    package = (ROOT / "companion" / "__init__.py").read_text(encoding="utf-8")
    assert citation["version"] == PROJECT["version"]
    assert f'__version__ = "{PROJECT["version"]}"' in package


def set_up_with(python: str, folder: Path) -> subprocess.CompletedProcess:
    """Runs the set-up in an empty folder, with a shell script in the place of Python."""
    stand_in = folder / "python"
    stand_in.write_text(f"#!/bin/sh\n{python}\n")
    stand_in.chmod(0o755)
    (folder / "pyproject.toml").touch()
    (folder / "constraints.txt").touch()
    return subprocess.run(
        ["make", "-f", ROOT / "Makefile", ".venv/.installed", f"PYTHON={stand_in}"],
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_an_old_python_is_told_what_to_install(tmp_path):
    made = set_up_with('[ "$1" = -V ] && echo "Python 3.9.2" && exit 0\nexit 1', tmp_path)
    assert made.returncode != 0
    assert "Python 3.11 or later is needed, this is Python 3.9.2: apt install" in made.stdout
    assert not (tmp_path / ".venv").exists()


def test_a_python_without_venv_is_told_what_to_install(tmp_path):
    made = set_up_with('case "$2" in *ensurepip*) exit 1;; esac\nexit 0', tmp_path)
    assert made.returncode != 0 and "apt install python3-venv" in made.stdout


@pytest.mark.parametrize("page", ["README.md", "book/reference/api.md"])
def test_the_code_samples_work(page):
    samples = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.S)
    assert samples
    for sample in samples:
        run = subprocess.run([sys.executable, "-c", sample], cwd=ROOT, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr


def test_every_reference_has_what_a_reader_needs():
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    entries = re.findall(r"@(\w+)\{(\w+),(.*?)\n\}", text, flags=re.S)
    assert len(entries) == text.count("\n@") and len({key for _, key, _ in entries}) == len(entries)
    for _, key, fields in entries:
        assert {"author", "title", "year"} <= set(re.findall(r"^\s*(\w+) = ", fields, flags=re.M)), key


def test_glossary_terms_are_unique_and_sorted():
    text = (ROOT / "book" / "reference" / "glossary.md").read_text(encoding="utf-8")
    body = text.split("```{glossary}\n")[1].split("```")[0]
    terms = [line for line in body.splitlines() if line and not line.startswith(" ")]
    assert len(terms) == len(set(terms)) > 50
    assert terms == sorted(terms, key=str.lower)
