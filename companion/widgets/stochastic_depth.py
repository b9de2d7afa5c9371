"""Interactive figure of chapter 07: a stack of blocks, the coins of training steps, and the depths that they leave."""

import math

import torch

from companion.masks import bernoulli
from companion.schedules import (
    constant_depth,
    depth_distribution,
    exclusive_depth,
    expected_depth,
    inclusive_depth,
    linear_depth,
)
from companion.widgets.base import InteractiveFigure, interactive

__all__ = ["depth_figure", "uniform_letters"]

BLOCKS = (12, 24, 50)
DRAWS = 100
STEPS = 10
BITS = 12


def _constant(depth: int, p_last: float) -> list[float]:
    """The constant rate whose expected depth is that of the linear rule."""
    return constant_depth(depth, 1 - expected_depth(linear_depth(depth, p_last)) / depth)


_SCHEDULES = {
    "linear": (linear_depth, "linear, paper"),
    "inclusive": (inclusive_depth, "linear, timm"),
    "exclusive": (exclusive_depth, "linear, torchvision"),
    "constant": (_constant, "constant"),
}

_EXPECTED = [f"{expected_depth(rule(50, 0.5)):.2f}" for rule in (linear_depth, inclusive_depth, exclusive_depth)]
_CAPTION = f"""
<strong>Notice.</strong> Every step trains another, shallower network, but the shortcut (the line below the blocks)
always carries the signal to the end. Take a hundred steps: the squares fill the dots, which are the exact distribution.
With 50 blocks and a last rate of 0.5, the three rules called linear expect {_EXPECTED[0]}, {_EXPECTED[1]} and
{_EXPECTED[2]} blocks. The constant rate expects what the paper's rule expects, but drops early blocks as often as late
ones.
"""
_ALT = """
A stack of residual blocks, in rows to be read from left to right. Under each block runs a line, the shortcut. Blocks
that the current step computes are filled and joined to the line on both sides; dropped ones are hollow, dashed and not
joined. Below, a histogram of the number of blocks computed in the steps so far, one square a step, with a dot for the
expected number of steps at each depth, a line at the expected depth, a diamond at the current step and a triangle at
the mean so far.
"""


def uniform_letters(draws: int, units: int, seed: int) -> list[str]:
    """Uniform whole numbers below 2**12, built of fair coins: ``draws`` strings with two letters a number.

    A letter holds six bits, "?" for 0 and "~" for 63. A block with the rate p is dropped when its number is below
    p 2**12, rounded: a chance within 2**-13 of p.

    Args:
        draws: number of strings.
        units: numbers in each string.
        seed: seed of the coins.
    """
    coins = bernoulli((draws, 2 * units, BITS // 2), 0.5, generator=torch.Generator().manual_seed(seed))
    letters = (coins.long() << torch.arange(BITS // 2)).sum(-1)
    return ["".join(chr(63 + letter) for letter in row) for row in letters.tolist()]


def _chances(rates: list[float]) -> list:
    """The first depth whose chance is not negligible, and chances from there on in units of 1/1,000."""
    parts = [round(1_000 * chance) for chance in depth_distribution(rates)]
    first = next(i for i, part in enumerate(parts) if part)
    last = max(i for i, part in enumerate(parts) if part)
    return [first, *parts[first : last + 1]]


def _schedule(name: str, depth: int) -> dict:
    """Rates for a last rate of 1, which scale with it; by last rate: distribution, mean and deviation of the depth."""
    rule = _SCHEDULES[name][0]
    by_rate = [rule(depth, j / STEPS) for j in range(STEPS + 1)]
    return {
        "shape": [round(p, 5) for p in rule(depth, 1.0)],
        "chances": [_chances(rates) for rates in by_rate],
        "mean": [round(expected_depth(rates), 3) for rates in by_rate],
        "sd": [round(math.sqrt(math.fsum(p * (1 - p) for p in rates)), 3) for rates in by_rate],
    }


def depth_figure() -> InteractiveFigure:
    """A residual network under stochastic depth, step by step, and the distribution of its depth.

    Reference: Huang et al. (2016), sec. 3.
    """
    rules = {name: {str(depth): _schedule(name, depth) for depth in BLOCKS} for name in _SCHEDULES}
    coins = uniform_letters(DRAWS, max(BLOCKS), seed=7)
    return interactive(
        "stochastic_depth",
        state={
            "p": 0.5,
            "draw": 0,
            "blocks": "24",
            "rule": "linear",
            "steps": STEPS,
            "levels": 2**BITS,
            "coins": coins,
            "rules": rules,
            "names": [[name, words] for name, (_, words) in _SCHEDULES.items()],
        },
        alt=_ALT,
        caption=_CAPTION,
        fallback=_fallback(rules["linear"]["24"], coins[0]),
    )


def _fallback(rule: dict, letters: str) -> str:
    """The first step of 24 blocks at a last rate of 0.5 with the exact distribution, with scripts off."""
    middle = STEPS // 2
    parts, kept = [], 0
    for i, shape in enumerate(rule["shape"]):
        x, y = 8 + 40 * (i % 12), 8 + 52 * (i // 12)
        number = 64 * (ord(letters[2 * i]) - 63) + ord(letters[2 * i + 1]) - 63
        survives = number >= round(shape * middle / STEPS * 2**BITS)
        kept += survives
        look = "cf-blue-fill" if survives else "cf-gone"
        parts.append(f'<rect class="{look}" x="{x}" y="{y}" width="26" height="22" rx="3"/>')
        if survives:
            parts.append(f'<path class="cf-axis" d="M{x - 4},{y + 34}V{y + 11}h4M{x + 26},{y + 11}h5V{y + 34}"/>')
    parts += [f'<path class="cf-ink-line" d="M0,{42 + 52 * row}H486"/>' for row in (0, 1)]
    first, *chances = rule["chances"][middle]
    for i, chance in enumerate(chances):
        height = 90 * chance / max(chances)
        parts.append(
            f'<rect class="cf-orange-fill" x="{20 * i}" y="{220 - height:.1f}" width="16" height="{height:.1f}"/>'
        )
        parts.append(f'<text class="cf-small" x="{20 * i + 8}" y="236" text-anchor="middle">{first + i}</text>')
    words = (
        f"One step computes {kept} of {len(rule['shape'])} blocks; {rule['mean'][middle]:g} are expected, "
        f"s.d. {rule['sd'][middle]:.2f}."
    )
    parts.append(f'<text x="0" y="262">{words}</text>')
    return (
        f'<svg class="cf-picture cf-still" viewBox="0 0 490 270" role="img" aria-label="{words}">{"".join(parts)}</svg>'
    )
