"""Pictures of chapter 12: what the bug leaves behind, calibration before and after averaging, number of passes, angles,
and the spread of a linear model that does not shrink."""

from collections.abc import Sequence

import numpy as np

from companion.experiments.protocol import Effect, Record, interval
from companion.figures.svg import COLOURS, DASHES, MARKERS, Picture, canvas, figure, style

__all__ = ["angles", "calibration_curves", "damage", "linear_spreads", "passes_needed"]

_WAYS = (("dropout only", "blue", "o"), ("train()", "red", "s"))


def damage(record: Record, name: str = "damage") -> Picture:
    """Accuracy on the test images after passes over each kind of batch, in both ways, seed by seed.

    Args:
        record: the record "mc-train-bug".
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=6.4, height=3.2)
    said = []
    with style():
        for i, arm in enumerate(record.arms):
            for j, (way, colour, marker) in enumerate(_WAYS):
                values = record.values(f"accuracy afterwards, {way}", arm)
                mean = record.mean(f"accuracy afterwards, {way}", arm)
                x = i + (j - 0.5) * 0.34
                spread = x + np.linspace(-0.1, 0.1, len(values))
                ax.plot(spread, values, marker, color=COLOURS[colour], markersize=3, alpha=0.5)
                ax.plot([x - 0.13, x + 0.13], [mean.mean] * 2, color=COLOURS[colour], linewidth=2.5)
                if i == 0:
                    ax.plot([], [], marker, color=COLOURS[colour], label=way)
            after = record.mean("accuracy afterwards, train()", arm)
            said.append(f"{arm}: {after.mean:.0f}%")
        ax.set_xticks(range(len(record.arms)), record.arms)
        ax.set_xlabel("the batch that was predicted")
        ax.set_ylabel("accuracy afterwards (%)")
        ax.set_ylim(0, 103)
        ax.legend(loc="lower left", title="passes with")
    before = record.mean("accuracy before", record.arms[0])
    return figure(
        fig,
        name,
        alt="Accuracy of ordinary evaluation after the passes, for four kinds of batches. With dropout only it stays "
        f"at {before.mean:.0f}% for all of them. After passes with train() it is, on average: {', '.join(said)}.",
        caption="Notice the first pair: on an ordinary batch nothing seems to be wrong. The damage shows only after "
        "batches that differ from the training data. Points are seeds, lines their means.",
    )


def calibration_curves(record: Record, name: str = "calibration-curves") -> Picture:
    """Accuracy against confidence, one pass and the mean of many, for both rates; all seeds together.

    Args:
        record: the record "mc-predictions".
        name: name of the picture, unique in its chapter.
    """
    sums = record.notes["bins: count, sum of confidence, sum of right answers"]
    fig, axes = canvas(width=7.0, height=3.4, columns=2, sharex=True, sharey=True)
    said = []
    with style():
        for ax, rate in zip(axes, ("p = 0.2", "p = 0.5"), strict=True):
            ax.plot([0.2, 1], [0.2, 1], color=COLOURS["grey"], linestyle=DASHES[2], linewidth=1)
            for i, (kind, colour) in enumerate((("one pass", "orange"), ("MC", "blue"))):
                count, confidence, right = np.asarray(sums[f"{rate}, {kind}"], dtype=float)
                full = count >= 30
                x, y = confidence[full] / count[full], right[full] / count[full]
                ax.plot(x, y, MARKERS[i], linestyle=DASHES[i], color=COLOURS[colour], markersize=4.5, label=kind)
                # the bins in the middle, where it shows
                gap = float((right - confidence)[full][:-1].sum() / count[full][:-1].sum())
                where = "above" if gap > 0 else "below"
                said.append(f"{rate}, {kind}: on average {abs(gap):.2f} {where} the diagonal but for the last bin")
            ax.set_title(rate)
            ax.set_xlabel("mean confidence of the answers")
        axes[0].set_ylabel("share of right answers")
        axes[0].legend(loc="upper left")
    return figure(
        fig,
        name,
        alt=f"Share of right answers against stated confidence, in bins, for two drop rates. {'; '.join(said)}.",
        caption="Notice the side of the diagonal. Below it a network promises more than it keeps, above it less. "
        "Averaging moves both networks upwards: onto the diagonal on the left, past it on the right. Bins with fewer "
        "than 30 answers are left out.",
    )


def _effects(record: Record, curve: str, arm: str) -> tuple[np.ndarray, list[Effect]]:
    x, values = record.curve(curve, arm)
    return x, [interval(column) for column in values.T]


def _band(ax, x: Sequence[float], effects: Sequence[Effect], place: int, colour: str, label: str | None = None) -> None:
    ax.fill_between(x, [e.low for e in effects], [e.high for e in effects], color=colour, alpha=0.2, linewidth=0)
    means = [e.mean for e in effects]
    ax.plot(x, means, MARKERS[place], linestyle=DASHES[place], color=colour, markersize=4, label=label)


def _apart(fig) -> None:
    """More room between two panels that both have a label on their left."""
    fig.get_layout_engine().set(wspace=0.06)


def passes_needed(record: Record, name: str = "passes-needed") -> Picture:
    """Loss and calibration error of the averaged passes against their number, with one pass without dropout as a line.

    Args:
        record: the record "mc-predictions".
        name: name of the picture, unique in its chapter.
    """
    fig, axes = canvas(width=7.0, height=3.3, columns=2)
    said = []
    with style():
        for ax, metric, unit in zip(axes, ("NLL", "ECE"), ("nats", "%"), strict=True):
            for i, (rate, colour) in enumerate((("p = 0.2", "green"), ("p = 0.5", "blue"))):
                x, effects = _effects(record, f"{metric} against passes", f"{rate}, MC")
                _band(ax, x, effects, i, COLOURS[colour], f"{rate}, MC")
                level = record.mean(metric, f"{rate}, one pass").mean
                ax.axhline(level, color=COLOURS[colour], linestyle=DASHES[2], linewidth=1.2)
                said.append(
                    f"{metric} at {rate}: {effects[0].mean:.2f} for a single random pass, {effects[-1].mean:.2f} for "
                    f"{x[-1]:.0f}, {level:.2f} for one pass with dropout off"
                )
            ax.set_xscale("log")
            ax.set_xticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
            ax.minorticks_off()
            ax.set_ylim(0)
            ax.set_xlabel("number of random passes")
            ax.set_ylabel(f"{metric} ({unit})")
        axes[0].legend(loc="upper right")
        _apart(fig)
    return figure(
        fig,
        name,
        alt=f"Loss and calibration error against the number of passes that are averaged. {'; '.join(said)}.",
        caption="Notice where a line falls below the dotted one of its colour, if it does: from there on averaging "
        "pays. Dotted: one pass with dropout off. Bands are 95 % intervals over seeds.",
    )


def angles(record: Record, name: str = "angles") -> Picture:
    """Accuracy, confidence and both parts of the entropy while all test images are turned.

    Args:
        record: the record "mc-predictions".
        name: name of the picture, unique in its chapter.
    """
    fig, axes = canvas(width=7.2, height=3.5, columns=2)
    with style():
        x, accuracy = _effects(record, "accuracy against angle", "p = 0.5, MC")
        _band(axes[0], x, accuracy, 0, COLOURS["grey"], "accuracy, MC")
        at = {}
        for i, (arm, colour) in enumerate(
            (("no dropout", "red"), ("p = 0.5, one pass", "orange"), ("p = 0.5, MC", "blue"))
        ):
            x, effects = _effects(record, "confidence against angle", arm)
            _band(axes[0], x, effects, i + 1, COLOURS[colour], f"confidence, {arm}")
            at[arm] = effects
        axes[0].set_ylabel("%")
        axes[0].set_ylim(0, 102)
        total = np.array([e.mean for e in _effects(record, "entropy against angle", "p = 0.5, MC")[1]])
        mutual = np.array([e.mean for e in _effects(record, "mutual information against angle", "p = 0.5, MC")[1]])
        axes[1].fill_between(x, 0, total - mutual, color=COLOURS["orange"], alpha=0.45, label="every pass is unsure")
        axes[1].fill_between(
            x,
            total - mutual,
            total,
            facecolor="none",
            edgecolor=COLOURS["purple"],
            hatch="////",
            label="passes disagree",
        )
        axes[1].plot(x, total, "o", linestyle="-", color=COLOURS["blue"], markersize=4)
        axes[1].set_ylabel("entropy of the mean (nats)")
        axes[1].set_ylim(0, np.log(10))
        axes[1].legend(loc="upper right")
        for ax in axes:
            ax.set_xticks([0, 45, 90, 135, 180])
            ax.set_xlabel("turned by (degrees)")
        fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=2, fontsize=9.5)
        _apart(fig)
    quarter, eighth = int(np.abs(x - 90).argmin()), int(np.abs(x - 45).argmin())
    top = int(total.argmax())
    return figure(
        fig,
        name,
        alt=f"Left: accuracy of the averaged passes falls from {accuracy[0].mean:.0f}% upright to "
        f"{accuracy[eighth].mean:.0f}% at 45 degrees and {accuracy[quarter].mean:.0f}% at 90 degrees. Their confidence "
        f"falls from {at['p = 0.5, MC'][0].mean:.0f}% to {at['p = 0.5, MC'][eighth].mean:.0f}% and then rises to "
        f"{at['p = 0.5, MC'][quarter].mean:.0f}% at 90 degrees; that of one pass is "
        f"{at['p = 0.5, one pass'][quarter].mean:.0f}% there, without dropout {at['no dropout'][quarter].mean:.0f}%. "
        f"Right: the entropy of the mean, in two parts, rises to {total[top]:.2f} nats at {x[top]:.0f} degrees and is "
        f"{total[quarter]:.2f} at 90 degrees.",
        caption="Notice the gap between the grey line and the others: sure and wrong. At first confidence falls with "
        "accuracy, if not nearly as far; then it rises again while hardly anything is right any more. On the right, "
        "the passes disagree most about digits that are turned a little, and about those on their side no more than "
        "about upright ones.",
    )


def linear_spreads(
    counts: Sequence[int],
    dropout: Sequence[float],
    posterior: Sequence[float],
    limit: float,
    name: str = "linear-spread",
) -> Picture:
    """Standard deviation of a linear prediction against the number of examples, over masks and over a posterior.

    Args:
        counts: numbers of training examples.
        dropout: standard deviation over the masks at each.
        posterior: standard deviation of the posterior at each.
        limit: what the first tends to.
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.6, height=3.3)
    with style():
        ax.axhline(limit, color=COLOURS["grey"], linestyle=DASHES[2], linewidth=1.2)
        ax.text(counts[-1], limit * 1.12, "limit", ha="right", va="bottom", color=COLOURS["grey"])
        ax.plot(counts, dropout, "o", linestyle=DASHES[0], color=COLOURS["blue"], label="over the masks, p = 0.5")
        ax.plot(counts, posterior, "s", linestyle=DASHES[1], color=COLOURS["orange"], label="of a Bayesian posterior")
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xlabel("training examples N")
        ax.set_ylabel("standard deviation")
        ax.legend(loc="lower left")
    return figure(
        fig,
        name,
        alt="Standard deviation of one prediction against the number of training examples, both axes logarithmic. "
        f"Over the masks it is {dropout[0]:.2f} with {counts[0]} examples and {dropout[-1]:.2f} with {counts[-1]:,}. "
        f"That of the posterior falls from {posterior[0]:.2f} to {posterior[-1]:.4f}.",
        caption="Notice the two slopes. A posterior becomes narrower with more examples. The spread over masks of a "
        "fixed rate does not: it settles at a value that the rate has chosen.",
    )
