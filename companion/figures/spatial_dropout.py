"""Pictures of chapter 05: what is told of a dropped cell, against the smoothness of the map and by whom."""

from collections.abc import Mapping, Sequence

from companion.experiments.protocol import Record
from companion.figures.svg import COLOURS, DASHES, MARKERS, Picture, canvas, figure, style

__all__ = ["told_against_length", "told_by_whom"]


def told_against_length(
    lengths: Sequence[float], shares: Mapping[str, Sequence[float]], name: str = "told-against-length"
) -> Picture:
    """Share of a dropped cell that the survivors of its map tell, against the correlation length of the map.

    Args:
        lengths: correlation lengths in cells.
        shares: one list of shares for each line, by its label.
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.4, height=3.2)
    with style():
        for i, (label, values) in enumerate(shares.items()):
            colour = list(COLOURS.values())[i]
            ax.plot(lengths, values, MARKERS[i], linestyle=DASHES[i], color=colour, markersize=5, label=label)
        ax.set_xlabel("correlation length of the map, in cells")
        ax.set_ylabel("share that is told (R²)")
        ax.set_ylim(-0.03, 1.03)
        ax.legend(loc="center right")
    ends = "; ".join(f"{label}: from {values[0]:.2f} to {values[-1]:.2f}" for label, values in shares.items())
    return figure(
        fig,
        name,
        alt=f"Share of a dropped cell's variance that is told by the rest of its map, for correlation lengths from "
        f"{lengths[0]:g} to {lengths[-1]:g} cells. {ends}.",
        caption="Notice where the lines of dropped cells rise: as soon as the map is smooth over a cell or two, its "
        "survivors tell nearly all. Of a dropped channel its own map tells nothing, however smooth it is.",
    )


def told_by_whom(record: Record, name: str = "told-by-whom") -> Picture:
    """Share of dropped cells and channels that is told by their own channel and by all channels, in both layers.

    Args:
        record: the record "spatial-leakage".
        name: name of the picture, unique in its chapter.
    """
    fig, axes = canvas(width=5.4, height=3.0, columns=2, sharey=True)
    said = []
    with style():
        for layer, ax in enumerate(axes, start=1):
            for i, arm in enumerate(record.arms):
                for j, source in enumerate(("its own channel", "all channels")):
                    effect = record.mean(f"told by {source}, layer {layer}", arm)
                    colour, hatch = (COLOURS["blue"], None) if j == 0 else (COLOURS["orange"], "///")
                    face = "none" if hatch else colour
                    label = f"told by {source}" if layer == 1 and i == 0 else None
                    x = i + 0.4 * (j - 0.5)
                    ax.bar(x, effect.mean, 0.36, facecolor=face, edgecolor=colour, hatch=hatch, label=label)
                    ax.vlines(x, effect.low, effect.high, color=COLOURS["grey"], linewidth=2)
                    said.append(f"layer {layer}, {arm}, by {source}: {effect.mean:.2f}")
            ax.set_xticks(range(len(record.arms)), record.arms)
            ax.set_xlabel("what was dropped")
            ax.set_title(f"layer {layer}", loc="left")
            ax.set_ylim(0, 1.05)
        axes[0].set_ylabel("share that is told (R²)")
        fig.legend(loc="outside upper center", ncols=2)
    return figure(
        fig,
        name,
        alt=f"Bars of the share of what was dropped that the rest tells. {'; '.join(said)}.",
        caption="Notice the hatched bars. A dropped channel cannot be read from its own map, but the other channels "
        "still tell nearly all of it: they were computed from the same image.",
    )
