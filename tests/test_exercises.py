"""Every exercise: the solution passes, the stub and each typical wrong answer are refused with the right words."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from exercise_gates import SOURCES, Cells, cells_of, chapters, namespace_of, run

from companion.assignments import NotYet, ReadyMade, inputs
from companion.assignments.check import exercises
from companion.assignments.release import METADATA, build, solved

URL = "https://example.org/course"
CHAPTERS = chapters()
NAMES = [f"{cells.chapter}.{name}" for cells in CHAPTERS for name in cells.visible]


def others(folder: str) -> list:
    found = [(cells, path) for cells in CHAPTERS for path in cells.others(folder)]
    return [pytest.param(*pair, id=f"{pair[0].chapter}-{pair[1].stem}") for pair in found]


def answered(cells: Cells, path: Path) -> tuple[dict, str]:
    """The notebook's namespace with the answer of a file in the place of its own; and which exercise it answers."""
    name = path.stem.split("__")[0]
    assert name in cells.visible, f"{path.name} answers no exercise of {cells.source.name}"
    namespace = namespace_of(cells)
    for other, code in cells.answers.items():  # hidden checks may combine the answers of one exercise
        if other != name:
            run(code, namespace, other)
    run(path.read_text(), namespace, path.name)
    return namespace, name


def refused(code: str, namespace: dict, where: str) -> AssertionError | None:
    """Returns the refusal, or None when the cell passes; any other error is a fault of the check."""
    try:
        run(code, namespace, where)
    except AssertionError as error:
        return error
    return None


def test_every_exercise_has_a_check_and_every_check_an_exercise():
    assert sorted(NAMES) == sorted(exercises())
    for cells in CHAPTERS:
        assert cells.visible.keys() == cells.hidden.keys() == cells.answers.keys()


# ---- Gate 1: the solution


def test_solutions_pass_in_a_fresh_process_and_write_nothing_to_the_error_stream(tmp_path):
    for source in SOURCES:
        code = [c for c in cells_of(solved(source, URL)) if c["cell_type"] == "code"]
        lines = "\n\n".join("".join(c["source"]) for c in code)
        (tmp_path / f"{source.parent.name}.py").write_text(
            re.sub(r"^    %pip.*$", "    pass", lines, flags=re.MULTILINE)
        )
    names = sorted(path.name for path in tmp_path.glob("*.py"))
    program = f"import runpy\nfor name in {names}:\n    runpy.run_path(name)"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert re.findall(r"^(\S+): right\.", done.stdout, re.MULTILINE) == [name for name in NAMES for _ in range(2)]


def test_nbval_runs_the_solved_notebooks_and_notices_a_wrong_answer(tmp_path):
    for source in SOURCES:
        (tmp_path / f"{source.parent.name}.ipynb").write_text(solved(source, URL))
    wrong = nbformat.v4.new_notebook(metadata=METADATA)
    code = "from companion.assignments import check\ncheck('ch02.mask_shape', lambda shape, kind: shape)"
    wrong.cells = [nbformat.v4.new_code_cell(code)]
    (tmp_path / "wrong.ipynb").write_text(nbformat.writes(wrong))
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    cells = sum(c["cell_type"] == "code" for source in SOURCES for c in cells_of(solved(source, URL)))
    assert f"1 failed, {cells} passed" in done.stdout, done.stdout[-3000:]
    assert "FAILED wrong.ipynb" in done.stdout


# ---- Gate 2: the stub


@pytest.mark.parametrize("cells", CHAPTERS, ids=lambda cells: cells.chapter)
def test_the_stub_fails_every_check(cells):
    released = {c["metadata"]["id"]: "".join(c["source"]) for c in cells_of(build(cells.source, URL))}
    for name in cells.visible:
        namespace = namespace_of(cells)
        run(released[f"{cells.chapter}-{name}"], namespace, name)
        for kind, code in (("visible", cells.visible[name]), ("hidden", cells.hidden[name])):
            error = refused(code, dict(namespace), f"{name} {kind}")
            assert isinstance(error, NotYet), f"the stub of {name} passes its {kind} check"
            assert "stub" in str(error) or "still" in str(error), error


# ---- Gate 3: typical wrong answers, and right answers written differently


@pytest.mark.parametrize(("cells", "path"), others("mutants"))
def test_a_wrong_answer_gets_its_own_hint(cells, path):
    expected = re.match(r"# must trigger: (.+)", path.read_text())
    assert expected, f"{path.name} must begin with '# must trigger: ' and a part of the hint"
    namespace, name = answered(cells, path)
    error = refused(cells.visible[name], namespace, path.name)
    assert isinstance(error, NotYet), f"{path.name} passes the check"
    assert expected[1] in str(error), f"the hint was: {error}"


@pytest.mark.parametrize("seed", ["one secret", "another secret"])
@pytest.mark.parametrize("cells", CHAPTERS, ids=lambda cells: cells.chapter)
def test_no_wrong_answer_passes_the_hidden_check(cells, seed, monkeypatch):
    monkeypatch.setenv("COMPANION_COURSE_SECRET", seed)
    for path in cells.others("mutants"):
        namespace, name = answered(cells, path)
        assert refused(cells.hidden[name], namespace, path.name) is not None, f"{path.name} passes"


@pytest.mark.parametrize(("cells", "path"), others("right"))
def test_a_right_answer_written_differently_passes(cells, path, monkeypatch):
    namespace, name = answered(cells, path)
    printed = run(cells.visible[name], namespace, path.name)
    assert printed.startswith(f"{cells.chapter}.{name}: right.")
    assert printed.count("\n") == 1
    monkeypatch.setenv("COMPANION_COURSE_SECRET", "a secret")
    run(cells.hidden[name], namespace, path.name)


@pytest.mark.parametrize("cells", CHAPTERS, ids=lambda cells: cells.chapter)
def test_solutions_pass_whatever_the_secret(cells, monkeypatch):
    namespace = namespace_of(cells)
    for name, code in cells.answers.items():
        run(code, namespace, name)
    for student in ("a", "b"):
        monkeypatch.setenv("COMPANION_STUDENT", student)
        for name, code in cells.hidden.items():
            run(code, namespace, f"{name} for {student}")


def test_every_exercise_has_wrong_and_right_answers_to_be_tested_with():
    for cells in CHAPTERS:
        for name in cells.visible:
            wrong = [path for path in cells.others("mutants") if path.stem.startswith(f"{name}__")]
            right = [path for path in cells.others("right") if path.stem.startswith(f"{name}__")]
            assert len(wrong) >= 2, f"{cells.chapter}.{name} has {len(wrong)} wrong answers"
            assert len(right) >= 2, f"{cells.chapter}.{name} has {len(right)} right answers"


# ---- The gates can close


def test_a_check_that_lets_a_wrong_answer_pass_is_noticed(monkeypatch):
    registry = sys.modules["companion.assignments.check"]._registry
    entry = registry["ch02.dropout_mask"]
    monkeypatch.setitem(registry, entry.name, type(entry)(entry.name, lambda answer, g: None, entry.allow))
    cells = next(c for c in CHAPTERS if c.chapter == "ch02")
    path = next(p for p in cells.others("mutants") if p.stem == "dropout_mask__keep_and_drop_swapped")
    with pytest.raises(AssertionError, match="passes the check"):
        test_a_wrong_answer_gets_its_own_hint(cells, path)


def test_a_stub_that_gives_the_solution_away_is_noticed(tmp_path):
    folder = tmp_path / "ch02"
    shutil.copytree(CHAPTERS[1].source.parent, folder)
    source = folder / CHAPTERS[1].source.name
    source.write_text(re.sub(r"^ *### (BEGIN|END) SOLUTION\n", "", source.read_text(), flags=re.MULTILINE))
    with pytest.raises(AssertionError, match="the stub of mask_shape passes"):
        test_the_stub_fails_every_check(Cells(source))


def test_ready_made_answers_are_among_the_wrong_ones():
    seen = set()
    for cells in CHAPTERS:
        for path in cells.others("mutants"):
            if "ready_made" in path.stem:
                namespace, name = answered(cells, path)
                assert isinstance(refused(cells.visible[name], namespace, path.name), ReadyMade)
                seen.add(cells.chapter)
    assert seen >= {"ch02", "ch03", "ch04"}


def test_inputs_differ_by_secret_student_and_exercise(monkeypatch):
    monkeypatch.delenv("COMPANION_COURSE_SECRET", raising=False)
    monkeypatch.delenv("COMPANION_STUDENT", raising=False)

    def first(*args, **kwargs):
        return int(inputs(*args, **kwargs).initial_seed())

    seeds = {first("ch02.mask_shape"), first("ch02.masked_sum"), first("ch02.mask_shape", secret="s")}
    seeds |= {first("ch02.mask_shape", student="a"), first("ch02.mask_shape", student="b")}
    assert len(seeds) == 5
    assert first("ch02.mask_shape") == first("ch02.mask_shape", secret="public", student="")
    assert all(0 <= seed < 2**63 for seed in seeds)
