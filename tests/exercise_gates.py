"""What the exercise tests share: running a notebook's answer and check cells, and looking for leaks."""

import contextlib
import html
import io
import json
import re
from pathlib import Path
from typing import Any

import jupytext
import yaml

from companion.assignments.release import BEGIN_HIDDEN, BEGIN_SOLUTION, END_HIDDEN, END_SOLUTION, regions, sources

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sources(ROOT)


class Cells:
    """The code cells of one exercise source, by the role that nbgrader's metadata give them."""

    def __init__(self, source: Path) -> None:
        self.source, self.chapter = source, source.parent.name
        self.imports: list[str] = []
        self.answers: dict[str, str] = {}
        self.visible: dict[str, str] = {}
        self.hidden: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.points: dict[str, int] = {}
        for cell in jupytext.reads(source.read_text(), fmt="py:percent").cells:
            grader = cell.metadata.get("nbgrader")
            if not grader:
                if cell.cell_type == "code":
                    self.imports.append(cell.source)
                continue
            name = grader["grade_id"].removeprefix(f"{self.chapter}-")
            self.points[name] = grader.get("points", 0)
            if cell.cell_type == "markdown":
                self.texts[name] = cell.source
            elif grader["solution"]:
                self.answers[name] = cell.source
            elif name.endswith("-hidden"):
                self.hidden[name.removesuffix("-hidden")] = cell.source
            else:
                self.visible[name.removesuffix("-visible")] = cell.source

    def others(self, folder: str) -> list[Path]:
        return sorted((self.source.parent / folder).glob("*.py"))


def chapters() -> list[Cells]:
    return [Cells(source) for source in SOURCES]


def run(code: str, namespace: dict[str, Any], where: str) -> str:
    """Runs a cell and returns what it printed; nothing may arrive on the error stream."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        exec(compile(code, where, "exec"), namespace)
    assert not error.getvalue(), f"{where} wrote to the error stream: {error.getvalue()}"
    return out.getvalue()


def namespace_of(cells: Cells) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for code in cells.imports:
        run(code, namespace, f"{cells.chapter} imports")
    return namespace


# ---- Leaks


def plain(text: str, *, markup: bool = False) -> str:
    """A text as it reads: without JSON escapes and runs of spaces, and in a page without tags and entities."""
    if markup:
        text = html.unescape(re.sub(r"<[^>]*>", "", text))
    text = text.replace("\\n", " ").replace('\\"', '"')
    return re.sub(r"\s+", " ", text)


def _lines(text: str) -> set[str]:
    # Short lines such as `return x` occur anywhere; a leaked region has longer ones too.
    lines = {plain(line).strip().removeprefix("# ") for line in text.split("\n")}
    return {line for line in lines if len(line) >= 25}


def secrets(root: Path) -> dict[str, set[str]]:
    """What must not leave ``exercises``: solution lines, hidden-check lines, words of hidden checks, model answers."""
    solutions, hidden, words, models, public = set(), set(), set(), set(), set()
    for source in sources(root):
        text = source.read_text()
        for region in regions(text, BEGIN_SOLUTION, END_SOLUTION):
            solutions |= _lines(region)
        for region in regions(text, BEGIN_HIDDEN, END_HIDDEN):
            hidden |= _lines(region)
            words |= set(re.findall(r"\bunseen_\w+", region))
        public |= _lines(re.sub(r"^#+ ", "", text, flags=re.MULTILINE)) - solutions - hidden
    for rubric in sorted((root / "exercises").glob("*/rubric.yml")):
        for entry in (yaml.safe_load(rubric.read_text()) or {}).values():
            models |= {sentence for part in entry["model_answer"].split("\n\n") if (sentence := plain(part).strip())}
            models |= {plain(level["text"]).strip() for criterion in entry["criteria"] for level in criterion["levels"]}
    hidden -= {"from companion.assignments import check, inputs"}
    return {"solutions": solutions, "hidden": hidden, "words": words, "models": models}


MARKERS = ("BEGIN SOLUTION", "END SOLUTION", "BEGIN HIDDEN", "END HIDDEN")


def leaks(text: str, secret: dict[str, set[str]], *, solutions: bool, markup: bool = False) -> list[str]:
    """What of ``secret`` stands in ``text``; solution lines only if asked, since elsewhere they may be taught."""
    text = plain(text, markup=markup)
    kinds = ["hidden", "words", "models", *(["solutions"] if solutions else [])]
    found = [marker for marker in MARKERS if marker in text]
    return found + sorted(line for kind in kinds for line in secret[kind] if line in text)


def leaks_of_site(site: Path, secret: dict[str, set[str]]) -> list[str]:
    """Leaks in every text file of a built site: pages, copied sources, search index."""
    found = []
    for path in sorted(site.rglob("*")):
        if path.suffix in {".html", ".ipynb", ".md", ".txt", ".js", ".json", ".py", ".yml", ".xml"} and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            in_exercises = "exercises" in path.relative_to(site).parts
            here = leaks(text, secret, solutions=in_exercises, markup=path.suffix == ".html")
            found += [f"{path.relative_to(site)}: {leak}" for leak in here]
    return found


def cells_of(text: str) -> list[dict]:
    return json.loads(text)["cells"]
