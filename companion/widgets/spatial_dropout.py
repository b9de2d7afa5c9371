"""Interactive figure of chapter 05: four feature maps, cells or channels dropped, and what the neighbours tell."""

from companion.experiments.protocol import Record, load
from companion.experiments.spatial_dropout import DRAWS, SHOWN, STEPS, shown_levels
from companion.widgets.base import InteractiveFigure, drop_levels, interactive

__all__ = ["spatial_figure"]

_CAPTION = """
<strong>Notice.</strong> Drop half of the cells: you can still make out the shapes, because a cell is much like its
neighbours. The line below says how much of the dropped cells the survivors of the same map tell, by the correlations
over the training images. Then drop channels at the same <var>p</var>: what is gone is gone from its map altogether,
and no cell is left to tell of it.
"""
_ALT = """
Four feature maps of eight by eight cells, side by side, of one digit in the first layer of a trained convolutional
network. The darker a cell, the stronger its activation. Dropped cells are white with a dashed border and crossed out:
scattered cells if cells are dropped, whole maps if channels are.
"""


def _fallback(state: dict) -> str:
    """The four maps under the first mask of cells at p = 0.5, with scripts off."""
    step, side = STEPS // 2, 10
    parts = []
    for channel, rows in enumerate(state["maps"]):
        for i, value in enumerate(value for row in rows for value in row):
            x, y = 96 * channel + side * (i % 8), side * (i // 8)
            kept = ord(state["cells"][0][64 * channel + i]) - 97 >= step
            box = f'x="{x}" y="{y}" width="{side - 1}" height="{side - 1}"'
            if kept:
                parts.append(f'<rect class="cf-blue-fill" {box} opacity="{max(value, 4) / 100:g}"/>')
            else:
                parts.append(f'<rect class="cf-gone" {box}/>')
    words = f"Half of the cells dropped; their neighbours still tell {100 * state['told'][0][step]:.0f}% of them."
    parts.append(f'<text x="0" y="104">{words}</text>')
    return (
        f'<svg class="cf-picture cf-still" viewBox="0 0 370 112" role="img" aria-label="{words}">{"".join(parts)}</svg>'
    )


def spatial_figure(record: Record | None = None) -> InteractiveFigure:
    """Four feature maps of a trained network under masks of cells and of channels.

    Args:
        record: record of :func:`companion.experiments.spatial_dropout.leakage` with its notes; default: the stored one.

    Reference: Tompson et al. (2015), sec. 3.2.
    """
    notes = (record or load("spatial-leakage")).notes
    state = {
        "p": 0.5,
        "draw": 0,
        "kind": "cells",
        "steps": STEPS,
        "maps": notes["maps"],
        "told": notes["told"],
        "cells": shown_levels(),
        "channels": drop_levels(DRAWS, SHOWN, steps=STEPS, seed=6),
    }
    return interactive("spatial_dropout", state=state, alt=_ALT, caption=_CAPTION, fallback=_fallback(state))
