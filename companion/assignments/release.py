"""Makes the student notebooks: ``python -m companion.assignments.release`` writes ``book/exercises/*.ipynb``.

A source ``exercises/chNN/NAME.py`` is a jupytext percent script whose cell headers carry nbgrader's metadata. What lies
between nbgrader's marks for a solution becomes a stub; what lies between its marks for hidden tests goes. The line with
minutes, points and claims under each heading comes from ``meta.yml``.

Everything is deterministic: the same source gives the same bytes. Each cell gets an id that also stands in its
metadata, and each answer cell begins with an anchor comment. Services that host notebooks sometimes lose nbgrader's
metadata; with the id or the anchor it can be put back.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from companion.files import write_whole

__all__ = ["build", "colab_setup", "main", "release", "release_name", "solved"]

# Put together here, so that the marks themselves occur in the sources of exercises and nowhere else.
BEGIN_SOLUTION, END_SOLUTION = (f"### {word} SOLUTION" for word in ("BEGIN", "END"))
BEGIN_HIDDEN, END_HIDDEN = (f"### {word} HIDDEN TESTS" for word in ("BEGIN", "END"))
STUB = 'raise NotImplementedError("your answer goes here")'
PLACE = "# your answer goes here"
HIDDEN_LEFT = "# Your answer is checked once more when it is graded, with inputs that nobody has seen."
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"},
}


def colab_setup(url: str) -> str:
    """Returns the lines that a notebook's first code cell begins with: install the companion where it is missing.

    Args:
        url: address of the repository, as ``repository.url`` in ``_config.yml`` has it.

    Without dependencies, so that the host's own torch is never replaced; whatever else the companion needs is there
    where notebooks are hosted.
    """
    return (
        "from importlib.util import find_spec\n"
        'if find_spec("companion") is None:  # on Colab\n'
        f'    %pip install -q --no-deps "dropout-companion @ git+{url}"'
    )


def repository_url(root: Path) -> str:
    """Returns ``repository.url`` of ``_config.yml``, the one setting from which links are made."""
    import yaml

    return yaml.safe_load((root / "_config.yml").read_text())["repository"]["url"]


def sources(root: Path) -> list[Path]:
    """Returns the exercise sources, ``exercises/chNN/NAME.py``."""
    return sorted((root / "exercises").glob("ch[0-9][0-9]/*.py"))


def release_name(source: Path) -> str:
    """Returns the file name of the student notebook: ``exercises/ch02/masks.py`` -> ``ch02_masks.ipynb``."""
    return f"{source.parent.name}_{source.stem}.ipynb"


# ---- Cells


def _cut(text: str, begin: str, end: str, left: str | None) -> str:
    """Replaces each region from ``begin`` to ``end`` by the line ``left``, with the region's indentation."""
    lines, inside = [], False
    for line in text.split("\n"):
        stripped = line.strip()
        if stripped == begin:
            if inside:
                raise ValueError(f"{begin} inside a region that has not ended")
            inside = True
            if left is not None:
                indent = line[: len(line) - len(line.lstrip())]
                lines.append(indent + (PLACE if left == STUB and not indent else left))
        elif stripped == end:
            if not inside:
                raise ValueError(f"{end} without {begin}")
            inside = False
        elif not inside:
            lines.append(line)
    if inside:
        raise ValueError(f"{begin} without {end}")
    return "\n".join(lines).strip("\n")


def regions(text: str, begin: str, end: str) -> list[str]:
    """Returns what lies between each ``begin`` and the ``end`` after it."""
    return re.findall(rf"{re.escape(begin)}[^\n]*\n(.*?)^[^\n]*{re.escape(end)}", text, flags=re.DOTALL | re.MULTILINE)


def _cell_id(chapter: str, index: int, cell: Any) -> str:
    grader = cell.metadata.get("nbgrader")
    return grader["grade_id"] if grader else f"{chapter}-cell-{index:02d}"


def _anchor(cell: Any) -> str:
    name = cell.metadata["nbgrader"]["grade_id"].replace("-", ".", 1)
    anchor = f"answer: {name} (keep this line)"
    return f"<!-- {anchor} -->" if cell.cell_type == "markdown" else f"# {anchor}"


def _and(words: Sequence[Any]) -> str:
    words = [str(word) for word in words]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def facts(entry: dict) -> str:
    """Returns the line that stands under an exercise's heading, from its entry in ``meta.yml``."""
    parts = [
        f"Difficulty {entry['difficulty']} of 4",
        f"about {entry['minutes']} minutes",
        f"{entry['points']} points",
        f"chapter objective{'s' * (len(entry['objectives']) > 1)} {_and(entry['objectives'])}",
        f"claim{'s' * (len(entry['claims']) > 1)} {_and(entry['claims'])}",
    ]
    return f"*{' · '.join(parts)}*"


def _notebook(source: Path, url: str) -> Any:
    """Reads a source: set-up lines, facts, anchors and ids are in their places, nothing is stripped yet."""
    import jupytext
    import yaml

    meta = yaml.safe_load((source.parent / "meta.yml").read_text())
    notebook = jupytext.reads(source.read_text(), fmt="py:percent")
    notebook.metadata = METADATA
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    first_code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    first_code.source = f"{colab_setup(url)}\n\n{first_code.source}"
    for index, cell in enumerate(notebook.cells):
        exercise = cell.metadata.pop("exercise", None)
        if exercise is not None:
            heading, _, text = cell.source.partition("\n")
            cell.source = f"{heading}\n\n{facts(meta['exercises'][exercise])}\n{text}"
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = f"{_anchor(cell)}\n{cell.source}"
        identity = _cell_id(source.parent.name, index, cell)
        grader = cell.metadata.get("nbgrader")
        cell.metadata = {"id": identity} | ({"nbgrader": dict(sorted(grader.items()))} if grader else {})
        cell.id = identity
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def _written(notebook: Any) -> str:
    import nbformat

    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT).rstrip("\n") + "\n"


def build(source: Path, url: str) -> str:
    """Returns the student notebook of one source, as text: without solutions, hidden checks and outputs."""
    notebook = _notebook(source, url)
    for cell in notebook.cells:
        cell.source = _cut(cell.source, BEGIN_SOLUTION, END_SOLUTION, STUB)
        cell.source = _cut(cell.source, BEGIN_HIDDEN, END_HIDDEN, None) or HIDDEN_LEFT
    return _written(notebook)


def solved(source: Path, url: str) -> str:
    """Returns the solved notebook of one source, as text: with solutions and hidden checks. For tests and graders."""
    return _written(_notebook(source, url))


# ---- Files


def release(root: Path) -> list[Path]:
    """Writes every student notebook into ``book/exercises`` of the checkout ``root``; returns their paths."""
    folder = root / "book" / "exercises"
    url = repository_url(root)
    written = []
    for source in sources(root):
        target = folder / release_name(source)
        write_whole(target, build(source, url))
        written.append(target)
    for stale in set(folder.glob("ch[0-9][0-9]_*.ipynb")) - set(written):
        stale.unlink()
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: writes the student notebooks of a checkout."""
    parser = argparse.ArgumentParser(prog="python -m companion.assignments.release", description=release.__doc__)
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the checkout; default: the current folder")
    root = parser.parse_args(arguments).root.resolve()
    if not (root / "exercises").is_dir():
        parser.error(f"--root must be a checkout of the course with a folder exercises, got {root}")
    try:
        import jupytext  # noqa: F401
        import yaml  # noqa: F401
    except ImportError as error:
        parser.error(f"releasing needs {error.name}: install the companion with its extra [book]")
    for path in release(root):
        print(path.relative_to(root))
    return 0


if __name__ == "__main__":
    sys.exit(main())
