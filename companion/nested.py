"""Nested masks: for all rates at once, as if one uniform number a unit decided. For figures with a slider of p."""

import torch

from companion.masks import bernoulli

__all__ = ["drop_levels"]


def drop_levels(draws: int, units: int, *, steps: int = 20, seed: int = 0) -> list[str]:
    r"""Draws masks for all rates ``0, 1/steps, ..., 1`` at once, nested as if one uniform number decided.

    A unit with level :math:`l` is dropped at the rate :math:`p = j/\text{steps}` exactly when :math:`l < j`, so a
    higher rate drops more of the same units. The levels are found by coins of :func:`companion.masks.bernoulli`:
    a unit that survived :math:`p = j/\text{steps}` falls at the next rate with probability
    :math:`1/(\text{steps}-j)`, which makes :math:`P(l < j) = j/\text{steps}` exactly. No uniform number is rounded.

    Args:
        draws: number of masks.
        units: number of units of a mask.
        steps: number of steps of the grid of rates, at most 26.
        seed: seed of the generator; the same seed gives the same levels on every CPU.

    Returns:
        ``draws`` strings of ``units`` letters, "a" for level 0, "b" for level 1, and so on.
    """
    if not 1 <= steps <= 26:
        raise ValueError(f"steps must be from 1 to 26, got {steps}")
    generator = torch.Generator().manual_seed(seed)
    level = torch.zeros(draws, units, dtype=torch.int64)
    alive = torch.ones(draws, units, dtype=torch.bool)
    for j in range(steps - 1):
        alive &= bernoulli((draws, units), 1 / (steps - j), generator=generator).bool()
        level += alive
    return ["".join(chr(97 + value) for value in row) for row in level.tolist()]
