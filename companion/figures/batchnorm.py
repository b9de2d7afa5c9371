"""Pictures of chapter 11: the ratio of variances by rate, width and BatchNorm, and what removing the shift does."""

from collections.abc import Mapping, Sequence

import numpy as np

from companion.batchnorm import predicted_shift
from companion.experiments.batchnorm import NORMS, arm_of
from companion.experiments.protocol import Record
from companion.figures.svg import COLOURS, DASHES, MARKERS, Picture, canvas, figure, style

__all__ = ["against_rate", "against_width", "at_every_norm", "confidence_and_loss"]

_HUES = list(COLOURS.values())


def against_rate(measured: Mapping[str, Mapping[float, float]], name: str = "against-rate") -> Picture:
    """The predicted ratio directly behind a dropout against the rate, with what was measured.

    Args:
        measured: measured ratio by rate, by activation ("identity", "relu" or "gelu").
        name: name of the picture, unique in its chapter.
    """
    words = {"identity": "zero mean", "gelu": "GELU", "relu": "ReLU"}
    fig, ax = canvas(width=5.4, height=3.2)
    rates = np.linspace(0, 0.95, 60)
    said = []
    with style():
        for i, (activation, points) in enumerate(measured.items()):
            curve = [predicted_shift(float(p), activation) for p in rates]
            ax.plot(rates, curve, color=_HUES[i], linestyle=DASHES[i])
            ax.plot(list(points), list(points.values()), MARKERS[i], color=_HUES[i], label=words[activation])
            listed = ", ".join(f"{ratio:.2f} at {p:g}" for p, ratio in points.items())
            said.append(f"{words[activation]}: {listed}")
        ax.set_xlabel("drop probability p")
        ax.set_ylabel("variance at evaluation / in training")
        ax.set_ylim(0, 1.05)
        ax.legend(loc="upper right")
    return figure(
        fig,
        name,
        alt=f"Three falling curves of the predicted ratio, from 1 at rate 0, with measured points on them. "
        f"{'; '.join(said)}.",
        caption="Notice that the points lie on the curves, and that only the upper one, for units of zero mean, is the "
        "straight line 1 − p. ReLU units have a mean far from zero and are shifted most.",
    )


def against_width(
    predicted: Mapping[float, Mapping[int, float]],
    measured: Mapping[float, Mapping[int, float]],
    p: float,
    name: str = "against-width",
) -> Picture:
    """The ratio behind dropout and a linear layer against the number of its inputs.

    Args:
        predicted: ratio by width, by correlation of the inputs.
        measured: the same, measured.
        p: probability of dropping.
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.4, height=3.2)
    said = []
    with style():
        for i, (correlation, ratios) in enumerate(predicted.items()):
            ax.plot(list(ratios), list(ratios.values()), color=_HUES[i], linestyle=DASHES[i])
            points = measured[correlation]
            label = f"correlation {correlation:g}"
            ax.plot(list(points), list(points.values()), MARKERS[i], color=_HUES[i], label=label)
            listed = ", ".join(f"{ratio:.2f} at {width}" for width, ratio in points.items())
            said.append(f"correlation {correlation:g}: {listed}")
        ax.axhline(1, color=COLOURS["grey"], linewidth=1, linestyle=DASHES[1])
        ax.set_xscale("log", base=2)
        widths = list(next(iter(measured.values())))
        ax.set_xticks(widths, [str(width) for width in widths])
        ax.set_xlabel("inputs of the linear layer")
        ax.set_ylabel("variance at evaluation / in training")
        ax.set_ylim(0, 1.08)
        ax.legend(loc="lower right")
    return figure(
        fig,
        name,
        alt=f"Ratio behind dropout at p = {p:g} and a linear layer with positive weights, by its number of inputs: "
        f"lines predicted, points measured. {'; '.join(said)}.",
        caption="Notice the lowest line, which is flat: if inputs have nothing in common, width does not help at all. "
        "With even a little correlation, a wide layer averages the coins away and keeps what its inputs share.",
    )


def at_every_norm(record: Record, orders: Mapping[str, str], p: float, name: str = "at-every-norm") -> Picture:
    """Measured ratio at each BatchNorm for several orders, with the prediction from the network's own moments.

    Args:
        record: the record "batchnorm-clean".
        orders: what an order is called in the legend, by its name.
        p: probability of dropping.
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.8, height=3.4)
    said = []
    with style():
        for j, (order, words) in enumerate(orders.items()):
            found = [record.mean(f"ratio at BN {i}", arm_of(order, p)) for i in NORMS]
            predicted = [record.mean(f"predicted at BN {i}", arm_of(order, p)).mean for i in NORMS]
            places = np.array(list(NORMS)) + 0.22 * (j - (len(orders) - 1) / 2)
            ax.vlines(places, [e.low for e in found], [e.high for e in found], color=_HUES[j], linewidth=3)
            ax.plot(places, [e.mean for e in found], MARKERS[j], color=_HUES[j], markersize=8, label=words)
            ax.hlines(predicted, places - 0.09, places + 0.09, color=COLOURS["grey"], linewidth=2)
            said.append(f"{words}: {', '.join(f'{e.mean:.2f}' for e in found)}")
        ax.plot([], [], color=COLOURS["grey"], linewidth=2, label="predicted")
        ax.axhline(1, color=COLOURS["grey"], linewidth=1, linestyle=DASHES[1])
        ax.set_xticks(list(NORMS), [f"BatchNorm {i}" for i in NORMS])
        ax.set_xlim(0.5, len(NORMS) + 0.5)
        ax.set_ylim(0, 1.1)
        ax.set_ylabel("variance at evaluation / stored")
        fig.legend(loc="outside upper center", ncols=2)
    return figure(
        fig,
        name,
        alt=f"Variance at evaluation over stored variance at three BatchNorm layers of trained networks, p = {p:g}. "
        f"{'; '.join(said)}. Grey bars show what the formula predicts from the moments of each network; a dashed line "
        "marks 1.",
        caption="Notice the squares. Dropout after each BatchNorm leaves only the first one at 1; at the second and "
        "third it is in front again. Only the triangles, one dropout after the last BatchNorm, stay at 1.",
    )


def confidence_and_loss(
    records: Mapping[str, tuple[Record, Sequence[str]]], name: str = "confidence-and-loss"
) -> Picture:
    """What removing the shift does to the loss, against how sure the network was of itself: one point a network.

    Args:
        records: a record and some of its arms, by the words for the legend.
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.8, height=3.6)
    said = []
    with style():
        for j, (words, (record, arms)) in enumerate(records.items()):
            x = np.concatenate([record.values("overconfidence, stored", arm) for arm in arms])
            before, after = (
                np.concatenate([record.values(f"NLL, {swap}", arm) for arm in arms])
                for swap in ("stored", "recalibrated")
            )
            ax.plot(x, after - before, MARKERS[j], color=_HUES[j], alpha=0.8, label=words)
            said.append(
                f"{words}: {len(x)} networks, confidence minus accuracy {x.mean():+.1f} points on average, loss "
                f"changed by {(after - before).mean():+.3f}, in {int((after > before).sum())} of them upwards"
            )
        ax.axhline(0, color=COLOURS["grey"], linewidth=1.2)
        ax.axvline(0, color=COLOURS["grey"], linewidth=1.2, linestyle=DASHES[1])
        ax.set_xlabel("confidence minus accuracy before, in points")
        ax.set_ylabel("change of the loss in nats")
        ax.legend(loc="lower center")
    return figure(
        fig,
        name,
        alt=f"One point a network: how much surer than right it was before, and the change of its loss when the "
        f"statistics are estimated anew. {'; '.join(said)}.",
        caption="Notice the two sides of the dashed line. Networks that are less sure than they could be (left) gain "
        "by the larger variance of their activations; those that are too sure already (right) do not, and can lose.",
    )
