"""Matplotlib figures as inline SVG: the same bytes on every run, in the page's text colour, with words for everyone.

Ink is drawn in a sentinel colour that becomes ``currentColor``, so that one picture serves light and dark pages.
Coordinates are rounded to a hundredth of a point, far below what an eye sees and far above what processors disagree on.
"""

import io
import re
from dataclasses import dataclass
from html import escape

import matplotlib
from matplotlib.figure import Figure

__all__ = ["COLOURS", "DASHES", "MARKERS", "Picture", "canvas", "figure", "style"]

# Okabe & Ito's colour-blind safe hues, at a lightness that keeps a contrast of 3 against white and the dark page.
COLOURS = {
    "blue": "#2b83c6",
    "orange": "#c9750c",
    "green": "#0f9270",
    "purple": "#b5669b",
    "red": "#d5603a",
    "grey": "#808080",
}
# Colour never carries meaning alone: the nth line also has the nth dash and the nth marker.
DASHES = ["-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1))]
MARKERS = ["o", "s", "^", "D", "v", "P"]

_INK = "#010203"
_LONG = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")
_STYLE = {
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.titlecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.labelcolor": _INK,
    "legend.frameon": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=list(COLOURS.values())),
    "axes.titlesize": 11,
    "axes.labelsize": 10.5,
    "font.size": 10.5,
    "font.family": "DejaVu Sans",
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
}


def style():
    """The matplotlib settings of every picture, as a context manager."""
    return matplotlib.rc_context(_STYLE)


def canvas(width: float = 7.0, height: float = 3.2, columns: int = 1, rows: int = 1, **options):
    """A figure and its axes in the course's style; ``options`` go to ``Figure.subplots``.

    Args:
        width, height: size in inches; 7 inches fill the text column.
        columns, rows: number of axes.
    """
    with style():
        fig = Figure(figsize=(width, height), layout="constrained")
        axes = fig.subplots(rows, columns, **options)
    return fig, axes


@dataclass(frozen=True)
class Picture:
    """A finished picture: inline SVG with its description and its caption."""

    name: str
    svg: str
    alt: str
    caption: str

    def _repr_html_(self) -> str:
        return (
            f'<figure class="picture" id="picture-{self.name}">{self.svg}'
            f"<figcaption>{escape(self.caption)}</figcaption></figure>"
        )

    def __repr__(self) -> str:
        return f"Picture: {self.alt}"


def _words(text: str, name: str) -> str:
    text = " ".join(text.split())
    if len(text) < 20 or re.search(r"\.(png|svg|jpe?g)\b", text):
        raise ValueError(f"{name} must say in a sentence what is seen (20 characters or more), got {text!r}")
    return text


def figure(fig: Figure, name: str, alt: str, caption: str) -> Picture:
    """Turns a matplotlib figure into a :class:`Picture`.

    Args:
        fig: the figure.
        name: short name, unique in its chapter; prefix of all ids.
        alt: what is seen, for someone who does not see it.
        caption: what to notice.

    Raises:
        ValueError: if ``alt`` or ``caption`` is not a sentence, or ``name`` is not made of a-z, 0-9 and hyphens.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
        raise ValueError(f"name must be made of a-z, 0-9 and hyphens, got {name!r}")
    alt, caption = _words(alt, "alt"), _words(caption, "caption")
    stream = io.StringIO()
    # The salt makes ids reproducible; it counts when saving, not when drawing.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        fig.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return Picture(name, _inline(stream.getvalue(), name, alt), alt, caption)


def _short(number: re.Match) -> str:
    return f"{float(number.group()):.2f}"


def _inline(svg: str, name: str, alt: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.S)  # inlined, it would rule the whole page
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.S)
    width = float(re.search(r'width="([\d.]+)pt"', svg).group(1))
    view = re.search(r'viewBox="([^"]+)"', svg).group(1)
    body = svg[svg.index(">") + 1 : svg.rindex("</svg>")]
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'(href="#|url\(#)', rf"\1{name}-", body)
    body = re.sub(r"<[^>]+>", lambda tag: _LONG.sub(_short, tag.group()), body)  # numbers in the text stay as they are
    body = body.replace(_INK, "currentColor")
    body = re.sub(r"\n\s*", "\n", body).strip()
    # Joins and caps stood in the style sheet that was cut.
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{view}" '
        f'role="img" aria-label="{escape(alt)}" stroke-linejoin="round" stroke-linecap="butt" '
        f'style="width:100%;max-width:{width * 4 / 3:.0f}px;height:auto">\n{body}\n</svg>'
    )
