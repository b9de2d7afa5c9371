"""Interactive figure of chapter 01: how hidden units come to depend on each other, with dropout and without."""

import math
from typing import Any

from companion.experiments.protocol import Record, load
from companion.widgets.base import InteractiveFigure, interactive

__all__ = ["dependence_figure"]

_CAPTION = (
    "<strong>Notice.</strong> Let both networks train, step by step. Without dropout units become load-bearing (large "
    "discs) and many pairs depend on each other; partners (thick solid lines) are those where losing one unit leaves "
    "the other with less to do. With dropout most of these lines never form, and what does form here is stand-ins "
    "(dashed), where either unit covers for the other. Silence a unit and compare what is lost. Both networks are "
    "those of the first seed; the table below has all of them."
)
_ALT = (
    "The hidden units of one trained network on a circle, numbered. The area of a disc shows what share of test "
    "predictions flip when that unit alone is silenced. Lines join pairs that depend on each other: thick solid lines "
    "for partners, dashed lines for stand-ins, thin grey lines for weak pairs. Beside the circle, a chart of "
    "the number of load-bearing pairs at each recorded training step for the networks with and without dropout; a ring "
    "marks the step shown."
)


def _net(shot: dict[str, Any]) -> dict[str, Any]:
    return {
        "accuracy": round(shot["accuracy"], 1),
        "flips": [round(value, 1) for value in shot["flips"]],
        "without": [round(value, 1) for value in shot["accuracy without"]],
        "synergy": [round(value, 4) for value in shot["synergy"]],
    }


def _fallback(state: dict[str, Any]) -> str:
    """Both networks after the last step, side by side, with scripts off."""
    parts, spoken = [], []
    for side, (arm, nets) in enumerate(sorted(state["nets"].items())):  # off, on
        net, centre = nets[-1], 150 + 300 * side
        units = len(net["flips"])
        places = [
            (centre + 105 * math.sin(2 * math.pi * u / units), 165 - 105 * math.cos(2 * math.pi * u / units))
            for u in range(units)
        ]
        bearing = [
            (i, j, value)
            for (i, j), value in zip(state["pairs"], net["synergy"], strict=True)
            if abs(value) > state["threshold"]
        ]
        for i, j, value in bearing:
            look = 'class="cf-orange-line"' if value < 0 else 'class="cf-green-line" stroke-dasharray="7 4"'
            (x, y), (to_x, to_y) = places[i], places[j]
            width = min(9, 1 + 28 * abs(value))
            parts.append(
                f'<path {look} style="stroke-width:{width:.1f}px" d="M{x:.1f},{y:.1f}L{to_x:.1f},{to_y:.1f}"/>'
            )
        for (x, y), flips in zip(places, net["flips"], strict=True):
            radius = max(4, 24 * math.sqrt(flips / 50))
            parts.append(f'<circle class="cf-blue-fill" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>')
        words = f"dropout {arm}: {len(bearing)} load-bearing pairs"
        parts.append(f'<text class="cf-strong" x="{centre}" y="16" text-anchor="middle">{words}</text>')
        spoken.append(f"{words}, the worst unit flips {max(net['flips']):.1f}% of predictions")
    return (
        '<svg class="cf-picture" viewBox="0 0 600 304" role="img" '
        f'aria-label="Two networks after {state["steps"][-1]} steps. {"; ".join(spoken).capitalize()}.">'
        + "".join(parts)
        + "</svg>"
    )


def dependence_figure(record: Record | None = None) -> InteractiveFigure:
    """Hidden units of two trained networks, the synergy of every pair, and what silencing a unit costs.

    Nothing in it is invented: single removals, pair synergies and accuracies were measured on the networks of the
    first seed of :func:`companion.experiments.co_adaptation.small_nets`, at every recorded step.

    Args:
        record: record of that experiment with its notes; default: the stored one.
    """
    notes = (record or load("co-adaptation-small-nets")).notes
    off, on = notes["nets"]
    state = {
        "dropout": "off",
        "index": len(notes["steps"]) - 1,
        "silenced": 0,
        "p": float(on.removeprefix("p=")),
        "steps": notes["steps"],
        "pairs": notes["pairs"],
        "threshold": notes["threshold"],
        "nets": {name: [_net(shot) for shot in notes["nets"][arm]] for name, arm in (("off", off), ("on", on))},
    }
    return interactive("co_adaptation", state=state, alt=_ALT, caption=_CAPTION, fallback=_fallback(state))
