"""Pictures of chapter 02: the masked sum over all masks, and the share that different coins keep."""

import math
from collections.abc import Mapping

from companion.experiments.masks import MaskedSum
from companion.experiments.protocol import Record
from companion.figures.svg import COLOURS, MARKERS, Picture, canvas, figure, style

__all__ = ["kept_share", "masked_sums"]


def masked_sums(result: MaskedSum, name: str = "masked-sums") -> Picture:
    """Histogram of the masked sums over all masks, with the full sum, the mean and one standard deviation.

    Args:
        result: sums over all (equally likely) masks.
        name: name of the picture, unique in its chapter.
    """
    width = 0.5
    sums = result.sums.tolist()
    low, high = min(sums), max(sums)
    counts: dict[float, int] = {}
    for value in sums:
        place = round(value / width) * width
        counts[place] = counts.get(place, 0) + 1
    above = sum(count for place, count in counts.items() if place > result.full)
    below = sum(count for place, count in counts.items() if place < 0)
    fig, ax = canvas(width=5.4, height=3.2)
    with style():
        for place, count in counts.items():
            colour, hatch = (COLOURS["blue"], None)
            if place > result.full:
                colour, hatch = COLOURS["orange"], "///"
            elif place < 0:
                colour, hatch = COLOURS["purple"], "\\\\\\"
            ax.bar(place, count, 0.42, facecolor=colour if hatch is None else "none", edgecolor=colour, hatch=hatch)
        top = max(counts.values())
        height = top + 0.6
        ax.vlines(result.mean, 0, height, color=COLOURS["green"], linewidth=2)
        ax.vlines(result.full, 0, top + 1.9, color=COLOURS["grey"], linestyle=(0, (4, 2)))
        ax.plot([result.mean - result.deviation, result.mean + result.deviation], [height] * 2, color=COLOURS["green"])
        ax.plot(result.mean, height, marker="^", markersize=7, color=COLOURS["green"])
        spread = f"mean {result.mean:.2f}, s.d. {result.deviation:.2f}"
        ax.text(result.full - 0.15, height + 0.75, spread, ha="right", va="center")
        ax.text(result.full + 0.15, height + 0.75, f"full sum {result.full:g}", ha="left", va="center")
        ax.text(high, 4.1, f"{above} masks\nabove it", ha="right", color=COLOURS["orange"])
        ax.text(low, 4.1, f"{below} masks\nbelow zero", ha="left", color=COLOURS["purple"])
        ax.set_xlabel("sum of the surviving units")
        ax.set_ylabel("number of masks")
        ax.set_ylim(0, top + 2.1)
        ax.set_yticks(range(0, top + 1, 2))
    return figure(
        fig,
        name,
        alt=f"Histogram of the sum of six masked units over all {len(sums)} masks. The sums reach from {low:g} to "
        f"{high:g}; their mean is {result.mean:.2f}, half of the full sum {result.full:g}; {above} masks give more "
        f"than the full sum and {below} give less than zero.",
        caption="Notice how wide the histogram is. Only its mean stands where the rule of proportion puts it; the sum "
        "of a single mask can be larger than the sum without a mask (hatched orange) or negative (hatched purple).",
    )


def kept_share(record: Record, exact: Mapping[tuple[str, str], float], name: str = "kept-share") -> Picture:
    """Kept share minus k for every way of throwing the coin, with the band of four standard errors.

    Args:
        record: the record "kept-share".
        exact: (metric, arm) -> share that an enumeration predicts, for the arms that have one.
        name: name of the picture, unique in its chapter.
    """
    colours = [COLOURS["red"], COLOURS["orange"], COLOURS["blue"], COLOURS["green"]]
    keeps = sorted({metric.split(",")[0] for metric in record.metrics})
    precisions = list(dict.fromkeys(metric.split(", ")[1] for metric in record.metrics))
    coins = record.budget["coins a seed"] * len(record.seeds)
    fig, axes = canvas(width=5.4, height=5.2, rows=len(keeps), sharex=True)
    outside = []
    with style():
        for ax, keep in zip(axes, keeps, strict=True):
            k = float(keep.removeprefix("k = "))
            band = 4000 * math.sqrt(k * (1 - k) / coins)
            ax.axvspan(-band, band, color=COLOURS["grey"], alpha=0.3, linewidth=0)
            ax.axvline(0, color=COLOURS["grey"], linewidth=1)
            for row, precision in enumerate(precisions):
                metric = f"{keep}, {precision}"
                for i, arm in enumerate(record.arms):
                    share = record.mean(metric, arm).mean
                    y = row + 0.2 * (i - 1.5)
                    if (metric, arm) in exact:
                        ax.plot(1000 * (exact[metric, arm] - k), y, "|", color=colours[i], markersize=11)
                    label = arm if ax is axes[0] and row == 0 else None
                    ax.plot(1000 * (share - k), y, MARKERS[i], color=colours[i], markersize=5.5, label=label)
                    if abs(1000 * (share - k)) > band:
                        outside.append(f"{arm} at {metric} with {share:.4f}")
            ax.set_yticks(range(len(precisions)), precisions)
            ax.set_ylim(len(precisions) - 0.5, -0.5)
            ax.set_title(keep, loc="left")
        axes[-1].set_xlabel("kept share minus k, in thousandths")
        fig.legend(loc="outside upper center", ncols=len(record.arms), handletextpad=0.2, columnspacing=1.2)
    return figure(
        fig,
        name,
        alt="Kept share minus the promised k, for four ways of throwing the coin in three precisions, with a band of "
        f"four standard errors. Outside the band lie: {'; '.join(outside)}. All others lie inside.",
        caption="Notice the bottom row of each panel. In bfloat16 both comparisons leave the grey band (four standard "
        "errors), and they land where an enumeration of all possible random numbers (short upright bars) puts them. "
        "Bernoulli draws and the companion's coin stay inside everywhere.",
    )
