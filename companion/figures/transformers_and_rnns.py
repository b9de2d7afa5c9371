"""Pictures of chapter 13: sites of a transformer, memories under masks, and rates against passes over a text."""

from collections.abc import Mapping, Sequence

from companion.experiments.protocol import Record
from companion.figures.svg import COLOURS, DASHES, MARKERS, Picture, canvas, figure, style

__all__ = ["locked_or_fresh", "memories", "passes", "sites"]


def sites(record: Record, name: str = "sites") -> Picture:
    """Change of the test accuracy by dropout at each site, against none.

    Args:
        record: the record "transformer-sites".
        name: name of the picture, unique in its chapter.
    """
    places: dict[str, list[tuple[str, str]]] = {}
    for arm in record.arms[1:]:
        place, p = arm.rsplit(" ", 1)
        places.setdefault(place, []).append((p, arm))
    looks = {p: (colour, marker) for p, colour, marker in zip(("0.1", "0.3", "0.5"), COLOURS, MARKERS, strict=False)}
    fig, ax = canvas(width=6.4, height=0.5 * len(places) + 1.2)
    said, seen = [], set()
    with style():
        for i, (place, arms) in enumerate(places.items()):
            for p, arm in arms:
                effect, (colour, marker) = record.effect("accuracy", arm, "none"), looks[p]
                y = i + {"0.1": -0.2, "0.3": 0.0, "0.5": 0.2}[p]
                ax.hlines(y, effect.low, effect.high, color=COLOURS[colour], linewidth=2.2)
                label = None if p in seen else f"p = {p}"
                ax.plot([effect.mean], [y], marker, color=COLOURS[colour], markersize=6.5, linestyle="", label=label)
                seen.add(p)
                said.append(f"{_site(place)} at {p}: {effect.mean:+.1f} ({effect.low:+.1f} to {effect.high:+.1f})")
        ax.axvline(0, color=COLOURS["grey"], linewidth=1.2)
        ax.set_yticks(range(len(places)), [_site(place) for place in places])
        ax.set_ylim(len(places) - 0.5, -0.5)
        ax.set_xlabel("change of the test accuracy in points")
        handles = dict(sorted(zip(*reversed(ax.get_legend_handles_labels()), strict=True)))
        fig.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3)
    worst = min(record.arms[1:], key=lambda arm: record.effect("accuracy", arm, "none").mean)
    return figure(
        fig,
        name,
        alt=f"Change of the test accuracy in points against no dropout, with 95 % intervals. {'; '.join(said)}.",
        caption="Notice the circles: no mean at a rate of 0.1 lies left of zero. Some of the triangles (0.5) lie far "
        f"to the left; furthest left is {_site(worst.rsplit(' ', 1)[0])} at {worst.rsplit(' ', 1)[1]}. Most "
        "intervals of single sites overlap, so this is no ranking of good places.",
    )


def _site(place: str) -> str:
    return {"sum": "behind the sum", "residual": "branch", "ff": "ReLU layer"}.get(place, place)


def memories(curves: Mapping[str, Sequence[float]], name: str = "memories") -> Picture:
    """Chance that a unit still remembers, after 1, 2, ... steps, on a logarithmic axis.

    Args:
        curves: chances after each number of steps, by what was done.
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.6, height=3.2)
    said = []
    with style():
        for (label, chances), dash, colour in zip(curves.items(), DASHES, COLOURS.values(), strict=False):
            ax.plot(range(1, len(chances) + 1), chances, linestyle=dash, color=colour, label=label)
            said.append(f"{label}: from {chances[0]:.2g} after 1 step to {chances[-1]:.2g} after {len(chances)}")
        ax.set_yscale("log")
        ax.set_ylim(min(chances[-1] for chances in curves.values()) / 2, 2)
        ax.set_xlabel("steps")
        ax.set_ylabel("chance to remember")
        ax.legend(loc="lower left")
    return figure(
        fig,
        name,
        alt=f"Chance that a unit still holds what it held, on a logarithmic axis. {'; '.join(said)}.",
        caption="Notice that the one line falls for ever, and straight: on this axis each step costs the same factor. "
        "The locked mask costs that factor once, and its line is level.",
    )


def locked_or_fresh(record: Record, name: str = "locked-or-fresh") -> Picture:
    """Test accuracy of recurrent networks under masks drawn at each step and locked ones, by where the mask falls.

    Args:
        record: the record "recurrent-masks".
        name: name of the picture, unique in its chapter.
    """
    panels = {"Elman": "simple net", "GRU state": "gated, state dropped", "GRU gates": "gated, gates only"}
    rates, chance = ("0.25", "0.5"), 25
    fig, axes = canvas(width=7.0, height=3.2, columns=len(panels), sharey=True)
    said = []
    with style():
        for ax, (place, title) in zip(axes, panels.items(), strict=True):
            none = record.mean("accuracy", f"{place.split()[0]}, none")
            ax.axhline(none.mean, color=COLOURS["grey"], linewidth=1.5, label="no dropout")
            for j, kind in enumerate(("fresh", "locked")):
                means = [record.mean("accuracy", f"{place}, {kind} {p}") for p in rates]
                at = [i + (-0.1 if kind == "fresh" else 0.1) for i in range(len(rates))]
                colour = list(COLOURS.values())[1 - j]
                label = "new at each step" if kind == "fresh" else "locked"
                ax.vlines(at, [m.low for m in means], [m.high for m in means], color=colour, linewidth=2.5)
                ax.plot(at, [m.mean for m in means], MARKERS[1 - j], color=colour, markersize=7.5, label=label)
                said += [f"{title}, {label}, p = {p}: {m.mean:.1f} %" for p, m in zip(rates, means, strict=True)]
            said.append(f"{title}, no dropout: {none.mean:.1f} %")
            ax.axhline(chance, color=COLOURS["grey"], linestyle=DASHES[2], linewidth=1.2, label="guessing")
            ax.set_xticks(range(len(rates)), [f"p = {p}" for p in rates])
            ax.set_xlim(-0.4, len(rates) - 0.6)
            ax.set_title(title, loc="left")
        axes[0].set_ylabel("test accuracy (%)")
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure(
        fig,
        name,
        alt=f"Test accuracy of recurrent networks in three panels, by rate, with 95 % intervals. {'; '.join(said)}.",
        caption="Notice squares and circles at p = 0.5: in the first two panels, where the mask hits what is carried, "
        "the locked one is far better; in the third, where a gate carries the state past the mask, it is not. "
        "Nothing rises above the solid line.",
    )


def passes(record: Record, name: str = "passes") -> Picture:
    """Loss on new text by rate, after one pass over the text and after many over a part of it.

    Args:
        record: the record "epochs-of-text".
        name: name of the picture, unique in its chapter.
    """
    groups: dict[str, list[tuple[float, str]]] = {}
    for arm in record.arms:
        passes_, p = arm.split(", p = ")
        groups.setdefault(passes_, []).append((float(p), arm))
    fig, axes = canvas(width=7.0, height=3.2, columns=len(groups), sharey=True)
    said = []
    with style():
        for ax, colour, (title, arms) in zip(axes, COLOURS.values(), groups.items(), strict=False):
            at = [p for p, _ in arms]
            table = [record.values("NLL", arm) for _, arm in arms]
            for seed in range(len(record.seeds)):
                ax.plot(at, [row[seed] for row in table], "-", color=COLOURS["grey"], linewidth=1, alpha=0.7)
            means = [float(row.mean()) for row in table]
            ax.plot(at, means, "D", color=colour, markersize=8)
            ax.set_xticks(at, [f"{p:g}" for p in at])
            ax.set_xlabel("p")
            ax.set_title(f"text read {title}", loc="left")
            said.append(f"Read {title}: " + ", ".join(f"p = {p:g} {m:.2f}" for p, m in zip(at, means, strict=True)))
        axes[0].set_ylabel("loss on new text (nats a character)")
    return figure(
        fig,
        name,
        alt="Loss on new text against the rate, a thin line for each seed and diamonds for the means, one panel for "
        "each number of passes. "
        f"{'. '.join(said)}.",
        caption="Notice which end of the lines is low. All networks read equally many characters; the more often they "
        "read the same ones, the fewer there are.",
    )
