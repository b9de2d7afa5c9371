"""Pictures of chapter 03: activations, accuracy and loss of the three schemes, and the price of dropout in steps."""

import numpy as np

from companion.experiments.protocol import Record, interval
from companion.figures.svg import COLOURS, DASHES, MARKERS, Picture, canvas, figure, style

__all__ = ["activation_ratio", "scheme_results", "training_speed"]

_LOOKS = {
    "naive": (COLOURS["red"], DASHES[0], MARKERS[0]),
    "vanilla": (COLOURS["blue"], DASHES[1], MARKERS[1]),
    "inverted": (COLOURS["green"], DASHES[3], MARKERS[2]),
}


def activation_ratio(record: Record, name: str = "activation-ratio") -> Picture:
    """Mean activation at test over mean activation in training, layer by layer, with the theory of the naive scheme.

    Args:
        record: the record "scaling-deep" or "scaling-shallow".
        name: name of the picture, unique in its chapter.
    """
    k = 1 - record.budget["p"]
    fig, ax = canvas(width=5.2, height=3.3)
    last = {}
    with style():
        for arm, (colour, dash, marker) in _LOOKS.items():
            layers, values = record.curve("ratio", arm)
            effects = [interval(column) for column in values.T]
            means = np.array([effect.mean for effect in effects])
            halves = np.array([effect.half for effect in effects])
            nudge = {"vanilla": -0.05, "inverted": 0.05}.get(arm, 0.0)
            ax.errorbar(
                layers + nudge, means, halves, color=colour, linestyle=dash, marker=marker, markersize=5.5, capsize=3
            )
            last[arm] = means[-1]
        ax.plot(layers, k**-layers, color=COLOURS["grey"], linestyle=DASHES[2], linewidth=2.4)
        ax.set_yscale("log", base=2)
        ticks = [2**power for power in range(-1, int(np.ceil(np.log2(k ** -layers[-1]))) + 1)]
        ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.set_xticks(layers, [f"{layer:g}" for layer in layers])
        ax.set_xlim(layers[0] - 0.3, layers[-1] + 0.3)
        ax.set_ylim(0.6, 1.5 * k ** -layers[-1])
        ax.set_xlabel("hidden layer")
        ax.set_ylabel("test / training")
        ax.set_title("mean activation", loc="left")
        ax.text(layers[-1] - 0.35, k ** -layers[-1], "(1/k)$^l$", ha="right", va="center", color=COLOURS["grey"])
        ax.text(layers[-1] - 0.9, k ** -(layers[-1] - 1.9), "naive", ha="left", va="top", color=COLOURS["red"])
        ax.text(layers[-1], 1.13, "vanilla and inverted", ha="right", va="bottom")
    return figure(
        fig,
        name,
        alt=f"Ratio of the mean activation at test to that in training over {len(layers)} hidden layers, on a "
        f"logarithmic axis. Naive dropout follows the line of powers of {1 / k:g} up to {last['naive']:.1f} in layer "
        f"{len(layers)}; vanilla and inverted dropout stay near 1: {last['vanilla']:.2f} and {last['inverted']:.2f}.",
        caption="Notice that the missing factor is paid again in every layer. The points fall a little below the "
        "dotted line, and those of the two repaired schemes a little below 1, because a ReLU behind a noisy sum hands "
        "on more than the ReLU of the mean (Jensen's inequality). "
        "Bars are 95 % intervals, mostly smaller than the points.",
    )


def scheme_results(records: dict[str, Record], name: str = "scheme-results") -> Picture:
    """Accuracy and loss at test of the three schemes.

    Args:
        records: label of a network -> its record.
        name: name of the picture, unique in its chapter.
    """
    fig, axes = canvas(width=5.8, height=3.4, columns=2, sharey=True)
    words = []
    with style():
        for ax, metric in zip(axes, ("accuracy", "NLL"), strict=True):
            y, ticks, labels = 0, [], []
            for net, record in records.items():
                for arm, (colour, _, marker) in _LOOKS.items():
                    effect = record.mean(metric, arm)
                    ax.errorbar(
                        effect.mean,
                        y,
                        xerr=effect.half,
                        color=colour,
                        marker=marker,
                        markersize=6,
                        capsize=3,
                        linestyle="",
                    )
                    ticks.append(y)
                    labels.append(arm)
                    y += 1
                numbers = ", ".join(f"{arm} {record.mean(metric, arm).mean:.3g}" for arm in _LOOKS)
                words.append(f"{metric}, {net}: {numbers}")
                if ax is axes[0]:
                    ax.text(
                        0.02, y - 3.32, net, transform=ax.get_yaxis_transform(), ha="left", va="bottom", weight="bold"
                    )
                y += 0.9
            ax.set_yticks(ticks, labels)
            ax.set_ylim(y - 1.4, -1.1)
            ax.grid(axis="x", color=COLOURS["grey"], alpha=0.3)
        axes[0].set_xlabel("test accuracy (%)")
        axes[1].set_xscale("log")
        axes[1].set_xticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
        axes[1].minorticks_off()
        axes[1].set_xlabel("test NLL (nats, log axis)")
    return figure(
        fig,
        name,
        alt=f"Test accuracy and test loss of naive, vanilla and inverted dropout in two networks. {'; '.join(words)}.",
        caption="Notice the difference between the panels. With two hidden layers, naive and vanilla dropout (the same "
        "trained weights) give the same accuracy, yet very different losses. With four, the accuracy falls too; and "
        "vanilla training is behind inverted training after the same number of steps. Bars are 95 % intervals.",
    )


def training_speed(record: Record, name: str = "training-speed") -> Picture:
    """Share of the training images classified rightly in evaluation mode, against the optimizer steps.

    Args:
        record: the record "convergence".
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.2, height=3.0)
    metric = next(iter(record.metrics))
    with style():
        for i, arm in enumerate(record.arms):
            colour = (COLOURS["orange"], COLOURS["blue"])[i % 2]
            steps, values = record.curve("training accuracy", arm)
            effects = [interval(column) for column in values.T]
            means = np.array([effect.mean for effect in effects])
            halves = np.array([effect.half for effect in effects])
            ax.fill_between(steps, means - halves, means + halves, color=colour, alpha=0.25, linewidth=0)
            ax.plot(steps, means, color=colour, linestyle=DASHES[i], label=arm)
            reached = record.mean(metric, arm)
            ax.errorbar(reached.mean, 99, xerr=reached.half, color=colour, marker=MARKERS[i], capsize=3, markersize=6)
        ax.axhline(99, color=COLOURS["grey"], linewidth=1)
        ax.set_ylim(80, 100.8)
        ax.set_xlabel("optimizer steps")
        ax.set_ylabel("training images right (%)")
        ax.legend(loc="lower right")
    spoken = "; ".join(f"{arm}: {record.mean(metric, arm).mean:.0f} steps" for arm in record.arms)
    return figure(
        fig,
        name,
        alt="Share of training images classified rightly against optimizer steps, with and without dropout. "
        f"{metric}: {spoken}.",
        caption="Notice where each curve crosses the grey line: with dropout it takes more steps to fit the same "
        "images. Bands and bars are 95 % intervals over seeds.",
    )
