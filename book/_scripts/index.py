"""Makes the index of figures and exercises from the notebooks and from the facts beside the exercises.

    python -m book._scripts.index

A test compares the page with what it is made from.
"""

import re
from html import escape, unescape
from pathlib import Path

import nbformat
import yaml

from book._scripts.chapters import BOOK, chapters, title
from companion.files import write_whole

EXERCISES = BOOK.parent / "exercises"
PAGE = BOOK / "reference" / "figures-and-exercises.md"
FIGURE = re.compile(r'<figure class="(companion-figure|picture)" id="([^"]+)".*?aria-label="([^"]*)"', re.DOTALL)
HEADS = ("exercise", "difficulty", "minutes", "points", "objectives", "claims")
COLUMNS = "".join(f'<th scope="col">{head}</th>' for head in HEADS)

HEAD = """\
# Figures and exercises

Everything to look at and everything to do, chapter by chapter. Figures in bold are interactive. Minutes are planned,
and stars say how hard an exercise is: from one, for the idea itself, to four.
"""


def figures(chapter: Path) -> list[tuple[str, str, str]]:
    """Figures of a chapter in order: kind, id, and what is seen."""
    found = []
    for cell in nbformat.read(chapter, as_version=4).cells:
        for output in cell.get("outputs", []):
            found += FIGURE.findall("".join(output.get("data", {}).get("text/html", "")))
    return [(kind, id, unescape(seen)) for kind, id, seen in found]


def _words(name: str) -> str:
    words = re.sub(r"-[0-9a-f]{10}$", "", name.removeprefix("picture-")).replace("-", " ").replace("_", " ")
    return words[0].upper() + words[1:]


def _figure(chapter: Path, kind: str, id: str, seen: str) -> str:
    link = f'<a href="../{chapter.stem}.html#{id}">{escape(_words(id))}</a>'
    name = f"<strong>{link}</strong>" if kind == "companion-figure" else link
    first = re.split(r"(?<=[.;])\s", seen, maxsplit=1)[0].rstrip(".;")
    return f"<li>{name}: {escape(first)}.</li>"


def _exercise(name: str, facts: dict) -> str:
    numbers = f"{facts['minutes']}", f"{facts['points']}", ", ".join(map(str, facts["objectives"]))
    cells = ["★" * facts["difficulty"], *numbers, ", ".join(facts["claims"])]
    return (
        f'<tr><th scope="row">{escape(_words(name))}</th>' + "".join(f"<td>{escape(c)}</td>" for c in cells) + "</tr>"
    )


def page() -> str:
    """The text of the page."""
    parts, figures_of, exercises_of = [], 0, 0
    for chapter in chapters():
        number = chapter.stem[:2]
        meta = yaml.safe_load((EXERCISES / f"ch{number}" / "meta.yml").read_text(encoding="utf-8"))
        notebook = f"ch{number}_{Path(meta['source']).stem}"
        drawn = figures(chapter)
        figures_of, exercises_of = figures_of + len(drawn), exercises_of + len(meta["exercises"])
        lines = "\n".join(_figure(chapter, *figure) for figure in drawn)
        rows = "\n".join(_exercise(name, facts) for name, facts in meta["exercises"].items())
        parts.append(
            f"## {number} {title(chapter)}\n\n<ul>\n{lines}\n</ul>\n\n"
            f"Exercises: [{notebook}.ipynb](../exercises/{notebook}.ipynb)\n\n"
            f'<div class="companion-table" role="region" aria-label="Exercises of chapter {number}" tabindex="0">\n'
            f"<table><thead><tr>{COLUMNS}</tr></thead><tbody>\n"
            f"{rows}\n</tbody></table></div>\n"
        )
    return "\n".join([HEAD, f"There are {figures_of} figures and {exercises_of} exercises.\n", *parts])


if __name__ == "__main__":
    write_whole(PAGE, page())
