"""Sphinx extension: docstrings that read well in Python, made safe for reStructuredText.

* A shape such as ``Tensor[N, C, *spatial]`` holds a star, which reStructuredText takes for emphasis: it is escaped.
* The first line of a property's docstring is prose even if it holds a colon, but napoleon takes what stands before the
  colon for a type: the colon is hidden from it.
"""

import re

from sphinx.application import Sphinx

_LITERAL = re.compile(r"(``.*?``)")
_STAR = re.compile(r"(?<![\w`*:\\])\*(?=(?:[a-z_][\w.]*)?[\]),])")
_HIDDEN_COLON = "\ue000"
_BEFORE_NAPOLEON, _AFTER_NAPOLEON = 400, 600


def _escape_stars(line: str) -> str:
    parts = _LITERAL.split(line)
    return "".join(part if part.startswith("``") else _STAR.sub(r"\\*", part) for part in parts)


def make_safe(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Changes the lines of a docstring in place, as the event ``autodoc-process-docstring`` asks for."""
    lines[:] = [_escape_stars(line) for line in lines]
    if what in ("attribute", "data", "property") and lines:
        lines[0] = lines[0].replace(":", _HIDDEN_COLON)


def show_colons(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Undoes what :func:`make_safe` hid from napoleon."""
    lines[:] = [line.replace(_HIDDEN_COLON, ":") for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", make_safe, priority=_BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", show_colons, priority=_AFTER_NAPOLEON)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
