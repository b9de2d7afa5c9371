"""The student notebooks: generated, complete for nbgrader, and without anything that belongs to the instructor."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from html import escape

import nbformat
import pytest
import yaml
from exercise_gates import (
    MARKERS,
    ROOT,
    SOURCES,
    Cells,
    cells_of,
    leaks,
    leaks_of_site,
    plain,
    secrets,
)

from companion.assignments import release
from companion.assignments.release import build, colab_setup, main, release_name, solved

URL = "https://example.org/course"
SECRET = secrets(ROOT)
BOOK = ROOT / "book" / "exercises"
LEDGER = set(tomllib.loads((ROOT / "companion" / "experiments" / "claims.toml").read_text()))
source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.parent.name)


def copy_of_sources(tmp_path):
    shutil.copytree(ROOT / "exercises", tmp_path / "exercises")
    shutil.copy(ROOT / "_config.yml", tmp_path / "_config.yml")
    return tmp_path


# ---- The notebooks in the book


def drift(root, tmp_path):
    """Names of the notebooks in ``root/book/exercises`` that differ from a fresh generation."""
    fresh = {path.name: path.read_text() for path in release.release(copy_of_sources(tmp_path))}
    stored = {path.name: path.read_text() for path in (root / "book" / "exercises").glob("*.ipynb")}
    return sorted(name for name in fresh.keys() | stored.keys() if fresh.get(name) != stored.get(name))


def test_the_notebooks_in_the_book_are_the_generated_ones(tmp_path):
    assert drift(ROOT, tmp_path) == [], "run: python -m companion.assignments.release"


def test_a_notebook_edited_by_hand_is_noticed(tmp_path):
    root = copy_of_sources(tmp_path / "edited")
    path = release.release(root)[0]
    path.write_text(path.read_text().replace("points", "marks", 1))
    (path.parent / "ch77_stray.ipynb").write_text("{}")
    assert drift(root, tmp_path / "fresh") == [path.name, "ch77_stray.ipynb"]


@source
def test_the_same_source_gives_the_same_bytes(source):
    text = build(source, URL)
    assert text == build(source, URL) and text.endswith("}\n")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in notebook.cells if "outputs" in cell)


@source
def test_every_cell_has_its_id_and_every_answer_its_anchor(source):
    for text in (build(source, URL), solved(source, URL)):
        cells = cells_of(text)
        ids = [cell["metadata"]["id"] for cell in cells]
        assert ids == [cell["id"] for cell in cells] and len(set(ids)) == len(ids)
        for cell in cells:
            if cell["metadata"].get("nbgrader", {}).get("solution"):
                name = cell["id"].replace("-", ".", 1)
                assert f"answer: {name} (keep this line)" in cell["source"][0]


@source
def test_nbgrader_finds_the_metadata_that_it_expects(source):
    graders = [c["metadata"]["nbgrader"] for c in cells_of(build(source, URL)) if "nbgrader" in c["metadata"]]
    for grader in graders:
        assert grader["schema_version"] == 3
        assert re.fullmatch(r"[A-Za-z0-9_-]+", grader["grade_id"])
        assert {type(grader[key]) for key in ("grade", "locked", "solution", "task")} == {bool}
        assert ("points" in grader) == grader["grade"] and not grader["task"]
        assert grader["locked"] == (not grader["solution"])


@source
def test_the_first_code_cell_sets_up_and_nothing_else_installs(source):
    cells = cells_of(build(source, URL))
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert code[0].startswith(colab_setup(URL))
    assert "pip" not in "".join(code[1:])
    assert re.match(r"# Exercises \d\d: ", "".join(cells[0]["source"]))


def test_the_set_up_lines_never_touch_torch():
    lines = colab_setup("https://github.com/ORG/REPO").split("\n")
    assert len(lines) == 3
    assert lines[2].strip() == '%pip install -q --no-deps "dropout-companion @ git+https://github.com/ORG/REPO"'


@source
def test_stubs_raise_and_keep_their_indentation(source):
    for cell in cells_of(build(source, URL)):
        grader = cell["metadata"].get("nbgrader", {})
        text = "".join(cell["source"])
        if grader.get("solution") and cell["cell_type"] == "code":
            compile(text, cell["id"], "exec")
            assert "    raise NotImplementedError(" in text or "# your answer goes here" in text


@source
def test_hints_are_readable_without_a_book(source):
    text = "\n".join("".join(c["source"]) for c in cells_of(build(source, URL)) if c["cell_type"] == "markdown")
    assert text.count("<details><summary>Hint</summary>\n\n") == text.count("\n\n</details>") >= 3
    assert ":::" not in text and "{admonition}" not in text


# ---- Facts


@source
def test_points_minutes_objectives_and_claims_are_complete(source):
    meta = yaml.safe_load((source.parent / "meta.yml").read_text())
    cells = Cells(source)
    assert meta["source"] == source.name
    assert 3 <= len(meta["exercises"]) <= 4
    difficulties = [entry["difficulty"] for entry in meta["exercises"].values()]
    assert difficulties == sorted(difficulties) and set(difficulties) <= {1, 2, 3, 4}
    names = []
    for entry in meta["exercises"].values():
        ids = [check.split(".", 1)[1] for check in entry["checks"]]
        parts = [part for i in ids for part in (f"{i}-visible", f"{i}-hidden")] + entry.get("texts", [])
        assert entry["points"] == sum(cells.points[part] for part in parts)
        assert entry["minutes"] > 0 and entry["objectives"] and entry["claims"]
        assert set(entry["claims"]) <= LEDGER, f"{set(entry['claims']) - LEDGER} are not in the claims ledger"
        names += parts
    assert set(names) == {name for name, points in cells.points.items() if points}
    rubric = source.parent / "rubric.yml"
    texts = yaml.safe_load(rubric.read_text()) if rubric.exists() else {}
    assert set(texts or {}) == set(cells.texts)
    for name, entry in (texts or {}).items():
        best = sum(max(level["points"] for level in criterion["levels"]) for criterion in entry["criteria"])
        assert best == cells.points[name]
        assert all(min(level["points"] for level in criterion["levels"]) == 0 for criterion in entry["criteria"])


@source
def test_the_page_states_the_facts_of_each_exercise(source):
    meta = yaml.safe_load((source.parent / "meta.yml").read_text())
    text = build(source, URL)
    for entry in meta["exercises"].values():
        assert release.facts(entry) in text
    assert text.count("*Difficulty ") == len(meta["exercises"])


# ---- Gate 4: nothing hidden leaves (the built site itself is looked through in tests/browser/test_leaks.py)


def test_there_is_something_to_hide():
    assert all(len(SECRET[kind]) >= 5 for kind in ("solutions", "hidden", "words", "models"))
    for path in SOURCES:
        assert leaks(path.read_text(), SECRET, solutions=True)


@source
def test_nothing_hidden_is_in_the_release(source):
    assert leaks(build(source, URL), SECRET, solutions=True) == []
    assert leaks((BOOK / release_name(source)).read_text(), SECRET, solutions=True) == []


@pytest.mark.parametrize("kind", ["solutions", "hidden", "words", "models", "marker"])
def test_a_planted_leak_is_noticed(kind):
    planted = MARKERS[0] if kind == "marker" else sorted(SECRET[kind])[0]
    notebook = json.loads(build(SOURCES[0], URL))
    notebook["cells"][3]["source"].append(f"\n{planted}")
    assert leaks(json.dumps(notebook), SECRET, solutions=True) != []


def test_a_source_whose_marker_is_misspelt_is_refused(tmp_path):
    root = copy_of_sources(tmp_path)
    path = root / "exercises" / SOURCES[0].parent.name / SOURCES[0].name
    path.write_text(path.read_text().replace("### END SOLUTION", "### END SOLUTIONS", 1))
    with pytest.raises(ValueError, match="SOLUTION"):
        build(path, URL)


def test_a_leak_planted_in_a_site_is_noticed(tmp_path):
    folder = tmp_path / "book" / "exercises"
    (folder / "_sources").mkdir(parents=True)
    page = build(SOURCES[0], URL).replace("&", "&amp;").replace("<", "&lt;")
    (folder / "page.html").write_text(f"<pre>{page}</pre>")
    assert leaks_of_site(tmp_path, SECRET) == []
    line = sorted(SECRET["solutions"])[0]
    highlighted = "".join(f"<span>{escape(word)}</span> " for word in line.split(" "))
    (folder / "page.html").write_text(f"<pre>{highlighted}</pre>")
    (folder / "_sources" / "ch01.ipynb").write_text(solved(SOURCES[0], URL))
    (tmp_path / "searchindex.js").write_text(f"Search.setIndex({{terms:{{{sorted(SECRET['words'])[0]}:1}}}})")
    found = " ".join(leaks_of_site(tmp_path, SECRET))
    assert all(name in found for name in ("page.html", "ch01.ipynb", "searchindex.js"))


BUILD = "from setuptools import build_meta; build_meta.build_{0}({1!r})"


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The wheel and the source distribution, built from a copy of the checkout; unpacked."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("companion", "exercises", "book/exercises"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file() and path.name in {"pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"}:
            shutil.copy(path, root)
    for name in ("README.md", "LICENSE"):
        (root / name).touch()
    unpacked = []
    for kind, ending in (("wheel", "whl"), ("sdist", "tar.gz")):
        built = root / "dist"
        command = [sys.executable, "-c", BUILD.format(kind, str(built))]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        [archive] = built.glob(f"*.{ending}")
        folder = root / f"unpacked-{kind}"
        shutil.unpack_archive(archive, folder, format="zip" if ending == "whl" else "gztar")
        unpacked.append(folder)
    return unpacked


def test_nothing_hidden_is_in_the_wheel_or_the_source_distribution(packages):
    for folder in packages:
        names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
        assert any(name.endswith("companion/assignments/checks/ch02.py") for name in names)
        assert not [name for name in names if re.search(r"(^|/)exercises/|mutants|rubric", name)]
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix in {".py", ".txt", ".md", ".json", ".toml", ""}:
                assert leaks(path.read_text(), SECRET, solutions=False) == [], path.name


# ---- The command


def test_the_command_writes_the_notebooks_and_drops_stale_ones(tmp_path, capsys):
    root = copy_of_sources(tmp_path)
    stale = root / "book" / "exercises" / "ch01_renamed.ipynb"
    stale.parent.mkdir(parents=True)
    stale.write_text("{}")
    assert main(["--root", str(root)]) == 0
    listed = capsys.readouterr().out.split()
    assert listed == [f"book/exercises/{release_name(path)}" for path in SOURCES]
    assert not stale.exists() and not list(stale.parent.glob("*.tmp"))


def test_the_command_wants_a_checkout(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--root", str(tmp_path)])
    assert "must be a checkout" in capsys.readouterr().err


def test_a_page_and_a_notebook_are_read_as_a_reader_would():
    assert plain("a <b>c</b>&lt;  d", markup=True) == "a c< d"
    assert plain('a < b\\n\\"e\\"  > c') == 'a < b "e" > c'
