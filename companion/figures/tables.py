"""Small tables of a chapter that are no record: rows of words and numbers made by a cell."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Rows", "rows"]


@dataclass(frozen=True)
class Rows:
    """A finished table: HTML with a caption and row headers, or aligned text."""

    head: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    caption: str

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.head)
        body = "".join(
            f'<tr><th scope="row">{escape(row[0])}</th>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
            + "</tr>"
            for row in self.body
        )
        return (
            f'<div class="companion-table" role="region" aria-label="Table: {escape(self.caption)}" tabindex="0">'
            f"<table><caption>{escape(self.caption)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )

    def __repr__(self) -> str:
        lines = [self.head, *self.body]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        return "\n".join([*text, self.caption])


def rows(table: Sequence[Mapping[str, object]], caption: str) -> Rows:
    """Makes a table of ``table``, one mapping a row, all with the same keys in the same order.

    Args:
        table: the rows; numbers should come formatted, with the digits that they deserve.
        caption: what the table holds, in a sentence.
    """
    if not table or any(list(row) != list(table[0]) for row in table):
        raise ValueError("table must hold one or more rows with the same keys in the same order")
    if not all(table[0]):  # a screen reader would announce nothing
        raise ValueError(f"table must have a key for every column, none of them empty, got {list(table[0])}")
    return Rows(
        tuple(table[0]),
        tuple(tuple(re.sub(r"(?<![\w.])-(?=\d)", "\u2212", str(cell)) for cell in row.values()) for row in table),
        " ".join(caption.split()),
    )
