"""Makes the page of the papers' numbers from ``companion/papers.toml``.

    python -m book._scripts.papers

The page holds what stands there, and a z computed from it; a test compares the two.
"""

from html import escape
from itertools import groupby
from pathlib import Path

from companion.files import write_whole
from companion.papers import Reported, reported

PAGE = Path(__file__).resolve().parents[1] / "reference" / "papers.md"

HEADS = ("comparison", "without → with", "z")
COLUMNS = "".join(f'<th scope="col">{head}</th>' for head in HEADS)

HEAD = """\
# What the papers report

The numbers that made dropout and its relatives famous, in one place: what was compared, whether anything else differed,
and whether the difference is larger than the noise of the test set. Where a paper writes the probability of keeping, it
is translated.

**Not all else is equal** where networks or their training differ, too: then the difference is not the effect of what is
named. Everywhere else only that differs.

**z** counts the standard errors between two error rates, as if each had been measured on test examples of its own
(formula: {func}`companion.papers.z_of_errors`). Beyond 2 in size, chance is a poor explanation; below, one cannot tell.
It knows nothing of other seeds: a difference of two single runs can be large and still be luck of the training. A
negative z says that the second number is the worse one. Beside it stands the number of test examples; where the metric
is not a share of them there is no z.

**Read** says how the number came here. *Paper*: text, tables or the authors' own repository were read. *Copies*: two or
more independent transcriptions that agree. *Memory*: unchecked; look it up before you quote it.
"""


def _numbers(row: Reported) -> str:
    """Both numbers with as many decimals as the one that has more."""
    decimals = max(len(f"{value:g}".partition(".")[2]) for value in (row.before, row.after))
    return f"{row.before:.{decimals}f} → {row.after:.{decimals}f} {row.metric}"


def _verdict(row: Reported) -> str:
    if row.z is None:
        return "–"
    z = f"{row.z:.2f}".replace("-", "\u2212")
    side = "within" if abs(row.z) < 2 else "beyond" if row.z > 0 else "worse, beyond"
    return f"{z}: {side} the noise of {row.n:,}"


def _row(row: Reported) -> str:
    cells = "".join(f"<td>{escape(cell)}</td>" for cell in (_numbers(row), _verdict(row)))
    more = " Not all else is equal." if row.same == "task" else ""
    source = f"<small>{escape(row.where)}. Read: {row.read}.{more}</small>"
    return f'<tr><th scope="row">{escape(row.data)}: {escape(row.what)}<br>{source}</th>{cells}</tr>'


def page(rows: tuple[Reported, ...]) -> str:
    """The text of the page."""
    judged = [row for row in rows if row.z is not None]
    inside = sum(abs(row.z) < 2 for row in judged)
    parts = [
        HEAD,
        f"Of {len(judged)} differences of error rates below, {inside} are within the noise of their test sets, and "
        f"{sum(row.same == 'task' for row in rows)} of all {len(rows)} compare more than what they name.\n",
    ]
    for paper, some in groupby(rows, key=lambda row: row.paper):
        body = "\n".join(_row(row) for row in some)
        parts.append(
            f"## {{cite:t}}`{paper}`\n\n"
            f'<div class="companion-table papers" role="region" aria-label="Numbers of {paper}" tabindex="0">\n'
            f"<table><thead><tr>{COLUMNS}</tr></thead><tbody>\n"
            f"{body}\n</tbody></table></div>\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    write_whole(PAGE, page(reported()))
