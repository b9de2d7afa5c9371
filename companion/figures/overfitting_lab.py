"""Pictures of chapter 09: where overfitting hurts, the sweet spot, the gap, the honest control, width and data size."""

from collections.abc import Sequence

import numpy as np

from companion.experiments.overfitting_lab import rates_of
from companion.experiments.protocol import Effect, Record
from companion.figures.svg import COLOURS, DASHES, MARKERS, Picture, canvas, figure, style

__all__ = [
    "control",
    "gain_against_size",
    "gap_against_accuracy",
    "memorising",
    "sweet_spot",
    "two_metrics",
    "widths",
]


def _rates(record: Record, prefix: str = "") -> tuple[np.ndarray, list[str]]:
    arms = rates_of(record, prefix)
    return np.array(list(arms)), list(arms.values())


def _line(ax, x: Sequence[float], effects: Sequence[Effect], place: int, colour: str, label: str | None = None) -> None:
    """A line of means with the band of their intervals; the nth line has the nth dash and marker."""
    ax.fill_between(x, [e.low for e in effects], [e.high for e in effects], color=colour, alpha=0.2, linewidth=0)
    means = [e.mean for e in effects]
    ax.plot(x, means, MARKERS[place], linestyle=DASHES[place], color=colour, markersize=4.5, label=label)


def memorising(record: Record, name: str = "memorising") -> Picture:
    """Mean test accuracy while training on, with clean and with noisy labels, with and without dropout.

    Args:
        record: the record "lab-labels".
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.6, height=3.4)
    colours = [COLOURS["green"], COLOURS["blue"], COLOURS["red"], COLOURS["orange"]]
    said = []
    with style():
        for i, arm in enumerate(record.arms):
            steps, values = record.curve("mean test accuracy", arm)
            curve, where = values[0], int(values[0].argmax())
            ax.plot(steps, curve, linestyle=DASHES[i], color=colours[i], marker=MARKERS[i], markevery=5, label=arm)
            said.append(f"{arm}: best {curve.max():.0f}% after {steps[where]:.0f} steps, {curve[-1]:.0f}% at the end")
        ax.set_ylim(60, 96)
        ax.set_xlabel("optimizer steps")
        ax.set_ylabel("test accuracy (%)")
        ax.legend(loc="lower right", title="labels for fitting", ncols=2)
    return figure(
        fig,
        name,
        alt=f"Test accuracy against optimizer steps. {'; '.join(said)}.",
        caption="Notice the one line that turns round. With clean labels nothing is lost by training on, with or "
        "without dropout. With wrong labels the network without dropout is best early and gets worse from there on.",
    )


def sweet_spot(record: Record, name: str = "sweet-spot") -> Picture:
    """Accuracy on training and on test images against the rate, with the gap between them shaded.

    Args:
        record: the record "lab-runs".
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.8, height=3.5)
    rates, arms = _rates(record)
    found = {part: [record.mean(f"{part} accuracy", arm) for arm in arms] for part in ("training", "test")}
    with style():
        means = {part: [effect.mean for effect in effects] for part, effects in found.items()}
        ax.fill_between(rates, means["training"], means["test"], facecolor="none", hatch="....", edgecolor="#808080")
        _line(ax, rates, found["training"], 1, COLOURS["orange"], "training images")
        _line(ax, rates, found["test"], 0, COLOURS["blue"], "test images")
        ax.axhline(80, color=COLOURS["grey"], linestyle=DASHES[2], linewidth=1)
        ax.text(0.96, 81, "right labels: 80%", ha="right", va="bottom", color=COLOURS["grey"])
        ax.set_ylim(0, 103)
        ax.set_xlabel("drop probability p")
        ax.set_ylabel("accuracy at the end (%)")
        ax.legend(loc="lower left")
    best = int(np.argmax(means["test"]))
    spots = sorted({0, best, len(rates) - 2})
    said = "; ".join(f"{arms[i]}: training {means['training'][i]:.0f}%, test {means['test'][i]:.0f}%" for i in spots)
    return figure(
        fig,
        name,
        alt=f"Accuracy on training and test images against the drop probability. {said}. The training line falls all "
        f"the way; the test line rises to its best at p = {rates[best]:g} and then falls with the other.",
        caption="Notice three things: the hump of the solid line; the steep slope on its right; and the dotted area, "
        "the gap, which is narrow in the middle AND at the right end. Bands are 95 % intervals over seeds. Above the "
        "dotted line the training images can be fitted only by learning wrong labels.",
    )


def gap_against_accuracy(record: Record, name: str = "gap-against-accuracy") -> Picture:
    """Test accuracy against the gap: one point a rate, joined in the order of the rates.

    Args:
        record: the record "lab-runs".
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.4, height=3.5)
    rates, arms = _rates(record)
    gaps, tests = ([record.mean(metric, arm) for arm in arms] for metric in ("gap", "test accuracy"))
    x, y = ([effect.mean for effect in effects] for effects in (gaps, tests))
    with style():
        ax.plot(x, y, color=COLOURS["grey"], linewidth=1)
        ax.errorbar(
            x,
            y,
            xerr=[e.half for e in gaps],
            yerr=[e.half for e in tests],
            linestyle="",
            marker="o",
            markersize=4.5,
            color=COLOURS["blue"],
            elinewidth=1,
        )
        ax.axvline(0, color=COLOURS["grey"], linestyle=DASHES[2], linewidth=1)
        for rate, offset in {0: (0, 9), 0.3: (0, 9), 0.5: (0, 10), 0.7: (13, 7), 0.8: (13, 7), 0.95: (20, -11)}.items():
            place = int(np.abs(rates - rate).argmin())
            ax.annotate(f"p = {rates[place]:g}", (x[place], y[place]), offset, textcoords="offset points", ha="center")
        ax.set_ylim(0, 100)
        ax.set_xlabel("gap: training minus test accuracy (points)")
        ax.set_ylabel("test accuracy (%)")
    narrow = int(np.argmin(np.abs(x)))
    last, half = len(rates) - 1, int(np.abs(rates - 0.5).argmin())
    return figure(
        fig,
        name,
        alt=f"Test accuracy against the gap, one point for each of {len(rates)} rates, joined in order. From p = 0 "
        f"(gap {x[0]:.0f}, test {y[0]:.0f}%) the line runs to the left and up to p = 0.5 (gap {x[half]:.0f}, test "
        f"{y[half]:.0f}%), then turns and falls steeply to p = {rates[last]:g} (gap {x[last]:.0f}, test "
        f"{y[last]:.0f}%). The gap nearest to zero belongs to p = {rates[narrow]:g}.".replace("-", "\u2212"),
        caption="Notice that the line goes up and down at nearly the same gap. Coming from the right, less gap is more "
        "accuracy; after the turn it is not. A gap of a few points may belong to the best network or to one that knows "
        "nothing.",
    )


def two_metrics(record: Record, name: str = "two-metrics") -> Picture:
    """Test accuracy and test NLL against the rate, side by side, with the best rate of each marked.

    Args:
        record: the record "lab-choice" or "lab-runs".
        name: name of the picture, unique in its chapter.
    """
    fig, axes = canvas(width=6.2, height=2.9, columns=2)
    rates, arms = _rates(record)
    said = []
    with style():
        for ax, (metric, words, pick) in zip(
            axes,
            (("test accuracy", "test accuracy (%)", np.argmax), ("NLL", "test NLL (nats)", np.argmin)),
            strict=True,
        ):
            effects = [record.mean(metric, arm) for arm in arms]
            best = int(pick([effect.mean for effect in effects]))
            _line(ax, rates, effects, 0, COLOURS["blue"])
            ax.axvline(rates[best], color=COLOURS["orange"], linestyle=DASHES[1])
            ax.set_title(f"best mean: p = {rates[best]:g}", loc="left")
            ax.set_xlabel("drop probability p")
            ax.set_ylabel(words)
            said.append(f"{metric}: best at p = {rates[best]:g} with {effects[best].mean:.3g}")
    return figure(
        fig,
        name,
        alt=f"Two curves against the drop probability, each with a dashed line at its best rate. {'; '.join(said)}.",
        caption="Notice how flat both curves are around their best rates, and where the dashed lines stand: whoever "
        "needs probabilities and whoever needs answers may want different rates. Bands are 95 % intervals.",
    )


def control(record: Record, name: str = "honest-control") -> Picture:
    """Test accuracy of networks with and without dropout, to the end and stopped early, and of a chosen rate.

    Args:
        record: the record "lab-choice".
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.8, height=2.6)
    names = {
        "p = 0": "no dropout, to the end",
        "p = 0, early": "no dropout, stopped early",
        "p = 0.5": "p = 0.5, to the end",
        "p = 0.5, early": "p = 0.5, stopped early",
        "p chosen": "p chosen on validation images",
    }
    said = []
    with style():
        for i, (arm, words) in enumerate(names.items()):
            effect = record.mean("test accuracy", arm)
            colour = COLOURS["red"] if arm.startswith("p = 0,") or arm == "p = 0" else COLOURS["blue"]
            marker = MARKERS[1] if "early" in arm else MARKERS[3] if "chosen" in arm else MARKERS[0]
            ax.errorbar(effect.mean, i, xerr=effect.half, marker=marker, markersize=6.5, capsize=3, color=colour)
            said.append(f"{words}: {effect.mean:.1f}%")
        ax.set_yticks(range(len(names)), names.values())
        ax.set_ylim(len(names) - 0.5, -0.5)
        ax.grid(axis="x", color=COLOURS["grey"], alpha=0.3)
        ax.set_xlabel("test accuracy (%)")
    return figure(
        fig,
        name,
        alt=f"Mean test accuracy of five ways to train. {'; '.join(said)}.",
        caption="Notice the distance between the first two lines: most of what dropout gains here early stopping "
        "gains too. Bars are 95 % intervals of the means; paired differences are more certain than the bars suggest.",
    )


def widths(record: Record, name: str = "width") -> Picture:
    """Test accuracy against the rate, one line for each width of the hidden layers.

    Args:
        record: the record "lab-width".
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.6, height=3.4)
    sizes = list(dict.fromkeys(arm.split(",")[0] for arm in record.arms))
    colours = [COLOURS["red"], COLOURS["orange"], COLOURS["blue"], COLOURS["green"]]
    said = []
    with style():
        for i, size in enumerate(sizes):
            rates, arms = _rates(record, f"{size}, ")
            effects = [record.mean("test accuracy", arm) for arm in arms]
            _line(ax, rates, effects, i, colours[i], size)
            best = int(np.argmax([effect.mean for effect in effects]))
            said.append(f"{size}: best {effects[best].mean:.0f}% at p = {rates[best]:g}")
        ax.set_ylim(0, 95)
        ax.set_xlabel("drop probability p")
        ax.set_ylabel("test accuracy (%)")
        ax.legend(loc="lower left", title="in each hidden layer")
    return figure(
        fig,
        name,
        alt=f"Test accuracy against the drop probability for {len(sizes)} widths of three hidden layers. "
        f"{'; '.join(said)}.",
        caption="Notice how the hump moves to the right as layers become wider, and how early the narrow network "
        "falls. No rate is good or bad in itself: it also counts how many units it leaves. Bands are 95 % intervals.",
    )


def gain_against_size(record: Record, name: str = "gain-against-size") -> Picture:
    """Gain in accuracy over no dropout against the number of training examples, one line a rate.

    Args:
        record: the record "lab-size".
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.6, height=3.2)
    counts = list(dict.fromkeys(int(arm.split(" ")[0]) for arm in record.arms))
    rates = list(dict.fromkeys(arm.split(", ")[1] for arm in record.arms))
    said = []
    with style():
        ax.axhline(0, color=COLOURS["grey"], linewidth=1)
        for i, rate in enumerate(rates[1:]):
            effects = [record.effect("accuracy", f"{n} examples, {rate}", f"{n} examples, {rates[0]}") for n in counts]
            _line(ax, counts, effects, i, (COLOURS["orange"], COLOURS["blue"])[i], rate)
            said.append(
                f"{rate}: " + ", ".join(f"{e.mean:+.1f} with {n:,}" for n, e in zip(counts, effects, strict=True))
            )
        ax.set_xscale("log")
        ax.set_xticks(counts, [f"{n:,}" for n in counts])
        ax.minorticks_off()
        ax.set_xlabel("training examples (log axis)")
        ax.set_ylabel("gain over p = 0 (points)")
        ax.legend(loc="upper left")
    return figure(
        fig,
        name,
        alt=f"Gain in test accuracy over no dropout, in points, against the number of training examples. "
        f"{'; '.join(said)}.".replace("-", "\u2212"),
        caption="Notice the hump, and where the lines meet zero: dropout gains little with the fewest examples and "
        "nothing with the most. Bands are 95 % intervals of paired differences.",
    )
