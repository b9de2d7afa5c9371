"""The chapters of the book: where they are and what they are called."""

from pathlib import Path

import nbformat

BOOK = Path(__file__).resolve().parents[1]


def chapters() -> list[Path]:
    """The notebooks of all chapters, in order."""
    return sorted(BOOK.glob("[0-9][0-9]-*.ipynb"))


def title(chapter: Path) -> str:
    """The heading of a chapter's first cell."""
    return nbformat.read(chapter, as_version=4).cells[0].source.partition("\n")[0].removeprefix("# ")
