"""Interactive figure of chapter 08: blocks on a feature map, and how often each of its cells is dropped."""

import itertools

import torch
from torch import Tensor

from companion.experiments.protocol import Record, load
from companion.layers.dropblock import rate_map, seed_rate
from companion.masks import block_mask
from companion.widgets.base import InteractiveFigure, interactive

__all__ = ["block_levels", "dropblock_figure"]

STEPS, DRAWS, SIDE = 20, 10, 8
SHOWN = 2  # which of the maps in the record's notes
SIZES = tuple(range(1, SIDE + 1))
BORDERS = {"whole": "exact", "cut": "uniform"}  # what the figure calls them: what drop_block calls them

_CAPTION = """
<strong>Notice.</strong> With blocks of 1 × 1 this is ordinary dropout, and the map of rates is flat. Make the blocks
larger, and a recognisable part of the shape goes at once. And look at the second map: with whole blocks the middle is
dropped far more often than asked for and the corners hardly ever, while the mean stays at <var>p</var>. Let the blocks
be cut at the border, and every cell is dropped equally often. A block as large as the map drops the whole map or
nothing: spatial dropout.
"""
_ALT = """
Two squares of eight by eight cells. The first is a feature map of a digit in a trained convolutional network: the
darker a cell, the stronger its activation; dropped cells are white with a dashed border and crossed out, and lie
together in square blocks. The second shows, for each cell, how often it is dropped: the more often, the darker, with
the percentage written in it.
"""


def block_levels(
    draws: int, side: int, block_size: int, calibrate: str, *, steps: int = STEPS, seed: int = 0
) -> Tensor:
    r"""Draws masks of blocks for all rates ``0, 1/steps, ..., 1`` at once, nested: a higher rate drops more blocks.

    A cell with level :math:`l` is dropped at :math:`p = j/\text{steps}` exactly when :math:`l < j`. From one rate to
    the next, seeds that have not fired yet fire with probability :math:`(\gamma_{j+1}-\gamma_j)/(1-\gamma_j)`, drawn
    by :func:`companion.masks.block_mask`; so at each rate the seeds have the law of those of
    :func:`companion.layers.dropblock.drop_block`.

    Args:
        draws: number of masks.
        side: side of the map.
        block_size: side of a block.
        calibrate: ``"exact"``, ``"uniform"`` or ``"paper"``.
        steps: number of steps of the grid of rates.
        seed: seed of the generator.

    Returns:
        Tensor[draws, side, side] of int64.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.empty(draws, 1, side, side)
    alive, level = torch.ones(x.shape, dtype=torch.bool), torch.zeros(x.shape, dtype=torch.int64)
    gammas = [seed_rate((side, side), j / steps, block_size, calibrate) for j in range(steps)]
    for now, then in itertools.pairwise(gammas):
        more = block_mask(x, (then - now) / (1 - now), block_size, padded=calibrate == "uniform", generator=generator)
        alive &= more.bool()
        level += alive
    return level[:, 0]


def _letters(levels: Tensor) -> list[str]:
    return ["".join(chr(97 + level) for level in row) for row in levels.flatten(1).tolist()]


def _rates(block_size: int, calibrate: str) -> list[list[int]]:
    """Rates of one eighth of the cells in tenths of a percent, a row for each step; the others mirror it."""
    eighth = torch.triu_indices(SIDE // 2, SIDE // 2)
    maps = [rate_map((SIDE, SIDE), j / STEPS, block_size, calibrate) for j in range(STEPS + 1)]
    return [(1000 * rates[*eighth]).round().int().tolist() for rates in maps]


def _mirrored(eighth: list[int]) -> list[int]:
    """Rates of all cells, row by row, from those of one eighth."""
    quarter = torch.zeros(SIDE // 2, SIDE // 2, dtype=torch.int64)
    quarter[*torch.triu_indices(SIDE // 2, SIDE // 2)] = torch.tensor(eighth)
    quarter = torch.maximum(quarter, quarter.T)
    upper = torch.cat([quarter, quarter.flip(1)], 1)
    return torch.cat([upper, upper.flip(0)]).flatten().tolist()


def _fallback(state: dict) -> str:
    """The map under the first mask of blocks of 3 at p = 0.3, with scripts off, beside the map of rates."""
    step, size, side = 6, 3, 20
    levels, rates = state["levels"]["whole"][size - 1][0], _mirrored(state["rates"][size - 1][step])
    values, parts = [value for row in state["map"] for value in row], []
    for i, value in enumerate(values):
        x, y = i % SIDE, i // SIDE
        kept = ord(levels[i]) - 97 >= step
        box = f'y="{side * y}" width="{side - 1}" height="{side - 1}"'
        look = f'class="cf-blue-fill" opacity="{max(value, 6) / 100:g}"' if kept else 'class="cf-gone"'
        parts.append(f'<rect x="{side * x}" {box} {look}/>')
        opacity = max(rates[i], 20) / 1000
        parts.append(f'<rect x="{side * x + 180}" {box} class="cf-orange-fill" opacity="{opacity:g}"/>')
    gone = sum(ord(letter) - 97 < step for letter in levels)
    often = f"corner {rates[0] / 10:.1f}%, middle {rates[SIDE // 2 * (SIDE + 1)] / 10:.1f}%"
    words = f"Blocks of 3 × 3 at p = 0.30: {gone} of 64 cells gone; {often}"
    parts.append(f'<text x="0" y="180">{words}</text>')
    return (
        f'<svg class="cf-picture cf-still" viewBox="0 0 345 188" role="img" aria-label="{words}">{"".join(parts)}</svg>'
    )


def dropblock_figure(record: Record | None = None) -> InteractiveFigure:
    """One feature map of a trained network under blocks of any size, and the rate at which each cell is dropped.

    Args:
        record: record of :func:`companion.experiments.spatial_dropout.leakage` with its notes; default: the stored one.

    Reference: Ghiasi et al. (2018), sec. 3.
    """
    maps = (record or load("spatial-leakage")).notes["maps"]
    state = {
        "p": 0.3,
        "size": 3,
        "draw": 0,
        "border": "whole",
        "steps": STEPS,
        "map": maps[SHOWN],
        "levels": {
            border: [_letters(block_levels(DRAWS, SIDE, size, calibrate, seed=8)) for size in SIZES]
            for border, calibrate in BORDERS.items()
        },
        "rates": [_rates(size, "exact") for size in SIZES],
    }
    return interactive("dropblock", state=state, alt=_ALT, caption=_CAPTION, fallback=_fallback(state))
