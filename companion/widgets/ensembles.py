"""Interactive figure of chapter 04: thinned subnetworks, how many there are, and what their averages say."""

from companion.ensembles import count_distinct, count_subnetworks
from companion.experiments.ensembles import PLACES, POINTS
from companion.experiments.protocol import Record, load
from companion.widgets.base import InteractiveFigure, interactive

__all__ = ["ensemble_figure", "subnetwork_count"]

_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_WHERE = {"A": "top of the upper moon", "B": "between the moons", "C": "bottom of the lower moon"}

_CAPTION = """
<strong>Notice.</strong> Sample subnetworks and watch the two averages part: the blue one averages logits, the orange
one probabilities. With dropout in layer 2 only, the geometric mean of <em>all</em> subnetworks (diamond at “all”) lies
exactly on the dotted line of one pass, for every <var>n</var>, although the network is deep and nonlinear. With dropout
in both layers it may miss the line: try the largest <var>n</var>. The arithmetic mean (square) is less confident in
both cases. And watch the count: one unit more in a masked layer doubles it.
"""
_ALT = """
Above, a network with two inputs, two hidden layers of n units and two classes, thinned by the current mask: kept units
are filled, dropped ones dashed and crossed out, and only the edges between kept units are drawn. Below, the probability
of class 1 against the number of sampled subnetworks averaged: a solid line for the geometric mean, a dashed one for the
arithmetic mean, a dotted horizontal line for one pass; at the right edge the means over all masks, a diamond for the
geometric and a square for the arithmetic one.
"""


def subnetwork_count(n: int, place: str) -> str:
    """How many subnetworks there are with ``n`` units a layer, in words with exact integers.

    Args:
        n: units of each of the two hidden layers.
        place: "last" (only the second layer is masked) or "both".
    """
    widths = [n] if place == "last" else [n, n]
    power = f"2{str(sum(widths)).translate(_SUPERSCRIPT)} = {count_subnetworks(widths):,} subnetworks"
    different = count_distinct(widths)
    return f"{power}." if different == count_subnetworks(widths) else f"{power}, {different:,} of them distinct."


def _net(stored: dict) -> dict:
    """What the figure needs of one network, by point."""

    def by_point(values: list, digits: int) -> dict:
        return dict(zip(POINTS, (_round(value, digits) for value in values), strict=True))

    return {
        "one": by_point(stored["one pass"], 4),
        "geometric": by_point(stored["geometric mean"], 4),
        "arithmetic": by_point(stored["arithmetic mean"], 4),
        "logits": by_point(stored["logits"], 3),
    }


def _round(value: float | list, digits: int) -> float | list:
    return [_round(entry, digits) for entry in value] if isinstance(value, list) else round(value, digits)


def ensemble_figure(record: Record | None = None) -> InteractiveFigure:
    """Subnetworks of trained networks 2-n-n-2, and the averages of their predictions against one scaled pass.

    Args:
        record: what :func:`companion.experiments.ensembles.subnetworks` measured; default: the stored record.

    Reference: Srivastava et al. (2014), sec. 2; Baldi & Sadowski (2013), sec. 2.
    """
    record = record or load("ensembles-figure")
    least = int(record.arms[0].removeprefix("n="))
    nets = {place: [_net(stored) for stored in record.notes["nets"][place]] for place in PLACES}
    sizes = range(least, least + len(record.arms))
    return interactive(
        "ensembles",
        state={
            "n": 6,
            "place": "last",
            "point": "A",
            "draw": 0,
            "least": least,
            "points": [[name, f"{name}: {where}"] for name, where in _WHERE.items()],
            "counts": {place: [subnetwork_count(n, place) for n in sizes] for place in PLACES},
            "masks": ["".join(map(str, row)) for row in record.notes["masks"]],
            "nets": nets,
        },
        alt=_ALT,
        caption=_CAPTION,
        fallback=_fallback(nets["last"][6 - least]),
    )


def _fallback(net: dict) -> str:
    """The three predictions for point A with six units a layer, with scripts off."""
    parts = ['<path class="cf-axis" d="M150,10V130"/>']
    rows = (("one pass", "one"), ("geometric mean", "geometric"), ("arithmetic mean", "arithmetic"))
    spoken = []
    for i, (name, kind) in enumerate(rows):
        value = net[kind]["A"]
        spoken.append(f"{name} {value:.3f}")
        fill = "cf-orange-fill" if kind == "arithmetic" else "cf-blue-fill"
        parts += [
            f'<text x="0" y="{35 + 40 * i}">{name}</text>',
            f'<rect class="{fill}" x="150" y="{18 + 40 * i}" width="{2000 * value:.1f}" height="24"/>',
            f'<text x="{158 + 2000 * value:.1f}" y="{35 + 40 * i}">{value:.3f}</text>',
        ]
    words = f"Probability of class 1 at point A, mean over all {count_subnetworks([6])} masks of layer 2"
    return (
        f'<svg class="cf-picture" viewBox="0 0 600 160" role="img" aria-label="{words}: {", ".join(spoken)}.">'
        + "".join(parts)
        + f'<text class="cf-small" x="0" y="155">{words}</text></svg>'
    )
