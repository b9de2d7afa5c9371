"""Pictures and tables of chapter 10: the rates that tutorials repeat with their evidence, and gains site by site."""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from matplotlib.patches import Rectangle

from companion.experiments.protocol import Record
from companion.figures.dropblock import effects
from companion.figures.svg import COLOURS, DASHES, Picture, canvas, figure, style
from companion.figures.tables import Rows, rows

__all__ = [
    "STRENGTHS",
    "Evidence",
    "Recipe",
    "branch_or_sum",
    "effects",
    "evidence",
    "evidence_table",
    "recipe_table",
    "recipes",
    "site_by_rate",
]


@cache
def _data() -> dict:
    text = resources.files("companion.figures").joinpath("placement.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


STRENGTHS: dict[str, str] = _data()["strength"]


@dataclass(frozen=True)
class Evidence:
    """What stands behind one rate at one place.

    Args:
        sites: sites of the interactive figure that it speaks about, "network/site".
        rate: the rate or range that is recommended or used, in words.
        where: the place, in words.
        strength: "control", "no control" or "folklore".
        says: one sentence.
        paper, cite: the paper, in words and as a key of the bibliography; empty for folklore.
        task: the data of the paper.
        measure: what ``before`` and ``behind`` are.
        before, behind: without and with dropout at that place, or None.
        test: number of test examples, where the measure is an error in percent of them.
    """

    sites: tuple[str, ...]
    rate: str
    where: str
    strength: str
    says: str
    paper: str = ""
    cite: str = ""
    task: str = ""
    measure: str = ""
    before: float | None = None
    behind: float | None = None
    test: int = 0

    @property
    def z(self) -> float | None:
        """The difference in standard errors, as if both networks had been tested on images of their own."""
        if not self.test or self.before is None or self.behind is None:
            return None
        a, b = self.before / 100, self.behind / 100
        return (a - b) / math.sqrt((a * (1 - a) + b * (1 - b)) / self.test)

    @property
    def numbers(self) -> str:
        """Without → with and what it is, for example "1.3 → 1.1% error", or a dash."""
        if self.before is None:
            return "–"
        return f"{self.before:g} → {self.behind:g}{'% error' if self.measure == 'error %' else ' ' + self.measure}"


@dataclass(frozen=True)
class Recipe:
    """What a well-known network was trained with."""

    name: str
    year: int
    cite: str
    dropout: str
    decay: bool
    norm: str


@cache
def evidence() -> tuple[Evidence, ...]:
    """All rows of the evidence, in order."""
    names = {"with": "behind", "without": "before"}
    return tuple(
        Evidence(**{names.get(key, key): tuple(value) if key == "sites" else value for key, value in row.items()})
        for row in _data()["evidence"]
    )


@cache
def recipes() -> tuple[Recipe, ...]:
    """All recipes, in order of their year."""
    return tuple(Recipe(**row) for row in _data()["recipe"])


def evidence_table() -> Rows:
    """The rates with the strength of their evidence."""
    table = [
        {
            "where": row.where,
            "p": row.rate,
            "evidence": row.strength,
            "without → with": row.numbers,
            "z": f"{row.z:.1f}" if row.z is not None else "–",
            "source": ", ".join(filter(None, (row.paper or "tutorials", row.task))),
        }
        for row in evidence()
    ]
    return rows(
        table,
        "Rates and what stands behind them: a paper with control, one with no control, or folklore. z is the "
        "difference in standard errors, as if both networks had been tested on images of their own, which is cautious; "
        "a dash where the paper's numbers do not give it.",
    )


def recipe_table() -> Rows:
    """The recipes: dropout, weight decay and normalization."""
    table = [
        {
            "network": f"{row.name} ({row.year})",
            "dropout": row.dropout or "none",
            "weight decay": "yes" if row.decay else "no",
            "normalization": row.norm,
        }
        for row in recipes()
    ]
    return rows(table, "Eight well-known recipes, picked as examples and no survey.")


def site_by_rate(record: Record, sites: Sequence[str], rates: Sequence[float], name: str) -> Picture:
    """The paired gain in accuracy over "none", for every site and rate; gains whose interval holds zero stand apart.

    Args:
        record: a record with the arms "none" and "SITE RATE".
        sites: rows.
        rates: columns.
        name: name of the picture, unique in its chapter.
    """
    gains = {(site, p): record.effect("accuracy", f"{site} {p:g}", "none") for site in sites for p in rates}
    most = max(abs(gain.mean) for gain in gains.values())
    fig, ax = canvas(width=1.9 + 0.9 * len(rates), height=0.9 + 0.42 * len(sites))
    said = []
    with style():
        for row, site in enumerate(sites):
            for column, p in enumerate(rates):
                gain = gains[site, p]
                words = f"{gain.mean:+.1f}".replace("-", "−")
                if gain.excludes_zero:
                    colour = COLOURS["blue"] if gain.mean > 0 else COLOURS["orange"]
                    hatch = None if gain.mean > 0 else "//"
                    box = {"facecolor": colour, "alpha": 0.12 + 0.43 * abs(gain.mean) / most, "hatch": hatch}
                    ax.add_patch(Rectangle((column - 0.47, row - 0.45), 0.94, 0.9, linewidth=0, **box))
                    ax.text(column, row, words, ha="center", va="center", fontweight="bold")
                else:
                    ax.text(column, row, f"({words})", ha="center", va="center", color=COLOURS["grey"])
            told = ", ".join(f"{gains[site, p]:.1f} at {p:g}" for p in rates)
            said.append(f"{site}: {told}")
        ax.set_xlim(-0.5, len(rates) - 0.5)
        ax.set_ylim(len(sites) - 0.5, -0.5)
        ax.set_xticks(range(len(rates)), [f"{p:g}" for p in rates])
        ax.set_yticks(range(len(sites)), list(sites))
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_xlabel("drop probability p at this site alone")
    return figure(
        fig,
        name,
        alt="A table of gains in test accuracy over no dropout, in points; rows are sites, columns are rates. "
        f"{'; '.join(said)}.",
        caption="Gain in test accuracy over no dropout, in points. Bold on blue: a gain whose 95 % interval is above "
        "zero; bold on hatched orange: a loss; in brackets: the interval holds zero.",
    )


def branch_or_sum(p: float, blocks: Sequence[int], alive: Sequence[float], name: str = "branch-or-sum") -> Picture:
    """The chance that a unit of the shortcut arrives, against the number of blocks, for dropout on branch and sum.

    Args:
        p: the rate.
        blocks: numbers of residual blocks.
        alive: by number of blocks, the chance with dropout on the sum.
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.4, height=2.9)
    with style():
        ax.plot(blocks, [1.0] * len(blocks), linestyle=DASHES[0], color=COLOURS["blue"], label="on the branch")
        ax.plot(blocks, alive, linestyle=DASHES[1], color=COLOURS["orange"], label="on the sum")
        ax.set_ylim(0, 1.08)
        ax.set_xlabel("residual blocks")
        ax.set_ylabel("units that arrive")
        ax.legend(loc="center right")
    return figure(
        fig,
        name,
        alt=f"Share of the shortcut's units that arrive at the end, against the number of blocks, at p = {p:g}. With "
        f"dropout on the branch a flat line at 1; with dropout on the sum it falls from {alive[0]:.2f} after "
        f"{blocks[0]} block to {alive[-1]:.3f} after {blocks[-1]}.",
        caption="Notice how soon the open shortcut is shut. Dropout on the branch leaves it alone; dropout on the sum "
        "drops the shortcut too, in every block anew.",
    )
