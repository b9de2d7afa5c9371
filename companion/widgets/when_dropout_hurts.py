"""Interactive figure of chapter 15: what dropout gained or cost, by number of examples, rate, network and labels."""

from companion.experiments.protocol import Record, load
from companion.experiments.when_dropout_hurts import BATCH, COUNTS, RATES, STUDENTS, name
from companion.widgets.base import InteractiveFigure, interactive

__all__ = ["hurts_figure"]

_LABELS = {"wrong": (0.2, "one in five wrong"), "right": (0.0, "all right")}
_CAPTION = """
<strong>Notice.</strong> Begin with the largest network at `p = 0.5` and go through the numbers of examples: nothing, a
large gain, a loss. Then take the smaller networks: the gain shrinks, and the blue cells move to the left until there
are none. Make all labels right, and little is left to gain anywhere. Last, go down to `p = 0.1`: a little dropout costs
little where it costs, but not nothing.
"""
_ALT = """
A map with three rows, one for each network, and six columns, one for each number of training examples. Each cell
holds the gain in test accuracy over no dropout, in points: filled and with a plus where dropout helps, striped and with
a minus where it costs, hollow and dashed where the interval holds zero. The chosen cell has a thick frame. Below, the
same row as a chart: gain against the number of examples, with intervals and a line at zero.
"""


def _cell(record: Record, student: str, count: int, noise: float) -> dict:
    """Accuracy without dropout, and for each rate the gain with the ends of its interval; with one decimal."""
    control = name(student, count, noise, 0)
    gains = {}
    for p in RATES[1:]:
        effect = record.effect("test accuracy", name(student, count, noise, p), control)
        # The sign is decided before rounding.
        sign = (effect.low > 0) - (effect.high < 0)
        gains[f"{p:g}"] = [round(effect.mean, 1), round(effect.low, 1), round(effect.high, 1), sign]
    return {
        "base": round(record.mean("test accuracy", control).mean, 1),
        "train": round(record.mean("training accuracy", control).mean, 1),
        "gains": gains,
    }


def hurts_figure(record: Record | None = None) -> InteractiveFigure:
    """The sign of dropout's effect over numbers of examples, rates, networks and labels, as recorded.

    Args:
        record: a record of :func:`companion.experiments.when_dropout_hurts.sweep`; default: the stored one.
    """
    record = record or load("hurts-sweep")
    cells = {
        labels: {student: [_cell(record, student, count, noise) for count in COUNTS] for student in STUDENTS}
        for labels, (noise, _) in _LABELS.items()
    }
    return interactive(
        "when_dropout_hurts",
        state={
            "p": "0.5",
            "place": 2,
            "student": "64-64",
            "labels": "wrong",
            "counts": list(COUNTS),
            "drawn": record.budget["steps"] * BATCH,
            "rates": [f"{p:g}" for p in RATES[1:]],
            "students": list(STUDENTS),
            "kinds": [[labels, words] for labels, (_, words) in _LABELS.items()],
            "cells": cells,
        },
        alt=_ALT,
        caption=_CAPTION,
        fallback=_fallback(cells["wrong"]),
    )


def _fallback(rows: dict) -> str:
    """The map at p = 0.5 with one label in five wrong, with scripts off."""
    parts, said = [], []
    for j, count in enumerate(COUNTS):
        parts.append(f'<text class="cf-small" x="{112 + 68 * j}" y="14" text-anchor="middle">{count:,}</text>')
    for i, (student, cells) in enumerate(rows.items()):
        y = 22 + 46 * i
        parts.append(f'<text x="0" y="{y + 25}">{student}</text>')
        for j, cell in enumerate(cells):
            mean, _, _, sign = cell["gains"]["0.5"]
            look = {1: "cf-blue-fill", -1: "cf-orange-fill", 0: "cf-gone"}[sign]
            words = f"{mean:+.1f}".replace("-", "\u2212")
            parts.append(f'<rect class="{look}" x="{82 + 68 * j}" y="{y}" width="60" height="38" rx="4"/>')
            text = ' class="cf-on cf-strong"' if sign else ""
            parts.append(f'<text{text} x="{112 + 68 * j}" y="{y + 24}" text-anchor="middle">{words}</text>')
        said.append(f"{student}: " + ", ".join(f"{cell['gains']['0.5'][0]:+.1f}" for cell in cells))
    words = (
        f"Gain of p = 0.5 in points with {', '.join(f'{count:,}' for count in COUNTS)} examples, one label in five "
        f"wrong. {'; '.join(said)}."
    ).replace("-", "\u2212")
    for student in STUDENTS:
        words = words.replace(student.replace("-", "\u2212"), student)
    parts.append('<text class="cf-small" x="0" y="182">Gain of p = 0.5 in points, one label in five wrong</text>')
    return (
        f'<svg class="cf-picture cf-still" viewBox="0 0 490 190" role="img" aria-label="{words}">{"".join(parts)}</svg>'
    )
