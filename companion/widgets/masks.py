"""Interactive figure of chapter 02: new masks, and the surviving sum against its expectation."""

import math

import torch

from companion.experiments.masks import SIX_UNITS
from companion.widgets.base import InteractiveFigure, drop_levels, interactive

__all__ = ["mask_figure", "masked_sum_moments"]

STEPS = 20
DRAWS = 100

_CAPTION = """
<strong>Notice.</strong> One mask tells you little: with six units of both signs the surviving sum can exceed the full
sum or turn negative. Draw more masks: their mean (triangle) closes in on <var>k</var> times the full sum, the orange
line. Only this average falls in proportion to <var>k</var> = 1 − <var>p</var>. Then switch to 48 positive units, where
single sums stay near the line, too.
"""
_ALT = """
Units of a layer, each kept (solid, coin 1) or dropped (dashed and crossed out, coin 0) by the current mask. Below them
a histogram of the surviving sums of all masks drawn so far, with a line at the expected sum, a hatched band of one
standard deviation around it, a dashed line at the sum of all units, a diamond at the current mask's sum and a triangle
at the mean of the sums so far.
"""


def masked_sum_moments(x: tuple[float, ...], p: float) -> tuple[float, float]:
    r"""Mean and standard deviation of :math:`\sum_i m_i x_i` over independent masks.

    .. math:: \mathbb{E} = k \sum_i x_i, \qquad \mathrm{s.d.} = \sqrt{p\,k \sum_i x_i^2}, \qquad k = 1 - p

    Args:
        x: activations of the units.
        p: probability of dropping a unit.
    """
    k = 1 - p
    return k * math.fsum(x), math.sqrt(p * k * math.fsum(value * value for value in x))


def _set(x: tuple[float, ...], width: float, seed: int) -> dict:
    moments = [masked_sum_moments(x, j / STEPS) for j in range(STEPS + 1)]
    return {
        "x": list(x),
        "bin": width,
        "rows": drop_levels(DRAWS, len(x), steps=STEPS, seed=seed),
        "mean": [round(mean, 6) for mean, _ in moments],
        "sd": [round(sd, 6) for _, sd in moments],
    }


def _positive_units(n: int, seed: int) -> tuple[float, ...]:
    """Magnitudes of normal numbers to one decimal: what a layer with a non-negative activation may hand on."""
    values = torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).abs()
    return tuple(max(round(value, 1), 0.1) for value in values.tolist())


def _number(value: float) -> str:
    """One decimal and a true minus sign; a dropped unit's product is plain 0."""
    return f"{value:.1f}".replace("-", "−") if value else "0"


def _fallback() -> str:
    """The six units under one mask, with scripts off."""
    mask = (1, 0, 1, 0, 1, 0)
    mean, sd = masked_sum_moments(SIX_UNITS, 0.5)
    survived = sum(m * value for m, value in zip(mask, SIX_UNITS, strict=True))
    rows = (168, 192, 216)
    parts = [f'<text x="0" y="{y}">{text}</text>' for y, text in zip(rows, ("x", "mask", "m · x"), strict=True)]
    for i, (m, value) in enumerate(zip(mask, SIX_UNITS, strict=True)):
        x, top, height = 75 + 58 * i, 88 - 26 * max(value, 0), 26 * abs(value)
        look = "cf-blue-fill" if m else "cf-gone"
        parts.append(f'<rect class="{look}" x="{x - 18}" y="{top:g}" width="36" height="{height:g}" rx="2"/>')
        if not m:
            middle = top + height / 2
            parts.append(f'<path class="cf-cross" d="M{x - 4},{middle - 4:g}l8,8M{x - 4},{middle + 4:g}l8,-8"/>')
        parts += [
            f'<text x="{x}" y="{y}" text-anchor="middle">{text}</text>'
            for y, text in zip(rows, (_number(value), m, _number(m * value)), strict=True)
        ]
    words = (f"sum {survived:.1f} of {sum(SIX_UNITS):.1f}", f"over all masks {mean:.2f} on average, s.d. {sd:.2f}")
    parts += [f'<text x="0" y="{y}">{text}</text>' for y, text in zip((246, 266), words, strict=True)]
    return (
        '<svg class="cf-picture cf-still" viewBox="0 0 400 272" role="img" '
        f'aria-label="Six units under one mask at p = 0.5: {"; ".join(words)}.">'
        f'<path class="cf-axis" d="M46,88H396"/>{"".join(parts)}</svg>'
    )


def mask_figure() -> InteractiveFigure:
    """Units kept and dropped by a mask, and the distribution of the surviving sum.

    Six units of both signs (the chapter's worked example) or 48 positive ones; the masks are nested in p, so moving
    the slider drops more of the same units. Masks, expectation and standard deviation are the companion's.

    Reference: Srivastava et al. (2014), sec. 4.
    """
    return interactive(
        "masks",
        state={
            "p": 0.5,
            "draw": 0,
            "units": "six",
            "steps": STEPS,
            "choices": [["six", "six, both signs"], ["many", "48, all positive"]],
            "sets": {"six": _set(SIX_UNITS, 0.5, seed=2), "many": _set(_positive_units(48, seed=48), 1.0, seed=3)},
        },
        alt=_ALT,
        caption=_CAPTION,
        fallback=_fallback(),
    )
