"""Pictures of chapter 08: rates of cells, what libraries drop, what the map tells of a block, and what it pays."""

from collections.abc import Mapping, Sequence

from matplotlib.patches import Rectangle
from torch import Tensor

from companion.experiments.protocol import Record
from companion.figures.svg import COLOURS, DASHES, MARKERS, Picture, canvas, figure, style

__all__ = ["effects", "library_rates", "rate_maps", "told_by_size"]


def rate_maps(maps: Mapping[str, Tensor], p: float, name: str = "rate-maps") -> Picture:
    """Maps of the rate at which each cell is dropped, side by side in one scale.

    Args:
        maps: one Tensor[H, W] for each panel, by its title.
        p: the rate that was asked for.
        name: name of the picture, unique in its chapter.
    """
    fig, axes = canvas(width=5.6, height=2.9, columns=len(maps))
    most, said = max(float(rates.max()) for rates in maps.values()), []
    with style():
        for ax, (title, rates) in zip(axes, maps.items(), strict=True):
            height, width = rates.shape
            for y in range(height):
                for x in range(width):
                    box = {"facecolor": COLOURS["blue"], "alpha": max(float(rates[y, x]) / most, 0.01), "linewidth": 0}
                    ax.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, **box))
            ax.set_xlim(-0.5, width - 0.5)
            ax.set_ylim(height - 0.5, -0.5)
            ax.set_aspect("equal")
            ax.set_xticks([])
            ax.set_yticks([])
            ax.spines[["top", "right"]].set_visible(True)
            corner, centre, mean = float(rates[0, 0]), float(rates[height // 2, width // 2]), float(rates.mean())
            ax.set_title(title, loc="left")
            ax.set_xlabel(f"corner {corner:.3f}\ncentre {centre:.3f}\nmean {mean:.3f}")
            said.append(f"{title}: corner {corner:.3f}, centre {centre:.3f}, mean {mean:.3f}")
    height, width = next(iter(maps.values())).shape
    return figure(
        fig,
        name,
        alt=f"Square maps of {height} by {width} cells; the darker a cell, the more often it is dropped. "
        f"{'; '.join(said)}. Asked for was {p:g}. Whole blocks make a dark middle and a pale border; blocks that are "
        "cut at the border make an even map.",
        caption="Notice the pale frame. A corner lies under a single seed, a cell in the middle under as many as a "
        "block has cells. Where blocks may be cut at the border, every cell is dropped equally often.",
    )


def library_rates(
    sides: Sequence[int],
    rules: Mapping[str, Sequence[float]],
    counts: Mapping[str, Mapping[int, float | None]],
    p: float,
    name: str = "library-rates",
) -> Picture:
    """What libraries drop when they are asked for p, against the size of the map: rules as lines, counts as markers.

    Args:
        sides: sides of the maps, in cells.
        rules: by library, the exact share that its rule drops, one for each side.
        counts: by library, the share that was counted in it, by side; None where the library refused.
        p: the rate that was asked for.
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.8, height=3.4)
    said = []
    with style():
        ax.axhline(p, color=COLOURS["grey"], linewidth=1, linestyle=DASHES[2])
        for i, (library, values) in enumerate(rules.items()):
            colour = list(COLOURS.values())[i]
            ax.plot(sides, values, linestyle=DASHES[i], color=colour, label=library)
            at = [side for side, share in counts[library].items() if share is not None and side in sides]
            shares = [counts[library][side] for side in at]
            ax.plot(at, shares, MARKERS[i], color=colour, markersize=6, markerfacecolor="none", linestyle="none")
            said.append(f"{library}: {values[0]:.3f} at {sides[0]} cells, {values[-1]:.3f} at {sides[-1]}")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ticks = [side for side in (7, 10, 14, 28, 56) if sides[0] <= side <= sides[-1]]
        ax.set_xticks(ticks, [str(side) for side in ticks])
        ax.set_yticks([0.05, 0.1, 0.2, 0.5, 1], ["0.05", "0.1", "0.2", "0.5", "1"])
        ax.minorticks_off()
        ax.text(sides[0] * 1.1, p * 1.05, f"asked for: {p:g}", va="bottom")
        ax.set_xlabel("side of the map, in cells")
        ax.set_ylabel("share of cells dropped")
        ax.legend(loc="upper right")
    return figure(
        fig,
        name,
        alt=f"Share of dropped cells against the side of the map, on logarithmic axes, with a dotted line at {p:g}. "
        f"{'; '.join(said)}. Markers, counted in the libraries themselves, lie on the lines.",
        caption="Notice the left end, where the maps are hardly larger than a block: that is where residual networks "
        "use DropBlock. Lines are the rules, computed exactly; open markers were counted in the libraries.",
    )


def told_by_size(
    lengths: Sequence[float], shares: Mapping[int, Sequence[float]], name: str = "told-by-size"
) -> Picture:
    """Share of a block's central cell that the rest of the map tells, against the correlation length.

    Args:
        lengths: correlation lengths in cells.
        shares: one list of shares for each side of a block.
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.8, height=3.3)
    with style():
        ax.axhline(0.5, color=COLOURS["grey"], linewidth=1)
        for i, (size, values) in enumerate(shares.items()):
            colour = list(COLOURS.values())[i]
            label = "a single cell" if size == 1 else f"{size} × {size} block"
            ax.plot(lengths, values, MARKERS[i], linestyle=DASHES[i], color=colour, markersize=5, label=label)
        ax.set_xlabel("correlation length of the map, in cells")
        ax.set_ylabel("told of the central cell (R²)")
        ax.set_ylim(-0.03, 1.03)
        fig.legend(loc="outside right center")
    said = []
    for size, values in shares.items():
        first = next((length for length, share in zip(lengths, values, strict=True) if share > 0.5), None)
        said.append(f"{size} by {size}: " + (f"from {first:g} cells on" if first is not None else "nowhere here"))
    return figure(
        fig,
        name,
        alt="Curves that rise from 0 to 1 with the correlation length of the map, from "
        f"{lengths[0]:g} to {lengths[-1]:g} cells, one for each size of block; the larger the block, the later the "
        f"rise. More than half is told for {'; '.join(said)}.",
        caption="Notice how far right each curve begins to rise. A block hides its middle only if it is several "
        "correlation lengths wide; a block just one correlation length wide hides next to nothing.",
    )


def effects(
    record: Record, control: str, metrics: Sequence[str] = ("accuracy", "NLL"), name: str = "effects"
) -> Picture:
    """Paired differences of all arms from one of them, with their intervals, one panel a metric.

    Args:
        record: the record; its units name the axes.
        control: the arm that is subtracted.
        metrics: names of the record's metrics.
        name: name of the picture, unique in its chapter.
    """
    arms = [arm for arm in record.arms if arm != control]
    fig, axes = canvas(width=5.8, height=0.9 + 0.36 * len(arms), columns=len(metrics), sharey=True)
    said = []
    with style():
        for ax, metric in zip(axes, metrics, strict=True):
            ax.axvline(0, color=COLOURS["grey"], linewidth=1)
            for i, arm in enumerate(arms):
                effect = record.effect(metric, arm, control)
                colour = list(COLOURS.values())[i % len(COLOURS)]
                ax.hlines(i, effect.low, effect.high, color=colour, linewidth=2.2)
                ax.plot(effect.mean, i, MARKERS[i % len(MARKERS)], color=colour, markersize=6)
                said.append(f"{metric}, {arm}: {effect:.2f}")
            unit = record.units.get(metric, "")
            unit = {"%": "points"}.get(unit, unit)
            ax.set_xlabel(f"change of {metric}, {unit}")
            ax.set_yticks(range(len(arms)), arms)
        axes[0].set_ylim(len(arms) - 0.5, -0.5)
    return figure(
        fig,
        name,
        alt=f"Differences from the arm “{control}”, with 95 % intervals. {'; '.join(said)}.",
        caption=f"Change against “{control}”. Notice which intervals reach the line at zero, and that the two panels "
        "need not agree: to the right is better for the accuracy and worse for the negative log-likelihood (NLL).",
    )
