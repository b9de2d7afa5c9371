"""Pictures of chapter 06: two outputs under all masks, ways of inference against the truth, and what training gains."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from companion.experiments.protocol import Record
from companion.figures.svg import COLOURS, MARKERS, Picture, canvas, figure, style

__all__ = ["distance_by_method", "error_of_relu", "gains", "two_outputs"]


def two_outputs(laws: Mapping[str, tuple[Tensor, Tensor]], name: str = "two-outputs") -> Picture:
    """The joint law of two outputs of a layer, one panel a scheme, with the law of each output alone at the margins.

    Args:
        laws: outputs, Tensor[masks, 2], and the probabilities of the masks, Tensor[masks], by the name of the scheme.
        name: name of the picture, unique in its chapter.
    """
    fig, axes = canvas(width=6.6, height=3.5, columns=len(laws), sharex=True, sharey=True)
    every = np.concatenate([outputs.numpy() for outputs, _ in laws.values()])
    (left, bottom), (right, top) = every.min(0) - 3.2, every.max(0) + 0.8
    said = []
    with style():
        for i, (ax, (scheme, (outputs, probability))) in enumerate(zip(np.atleast_1d(axes), laws.items(), strict=True)):
            points, chances = _merged(outputs.numpy(), probability.numpy())
            colour = list(COLOURS.values())[i]
            ax.scatter(*points.T, s=1500 * chances, marker=MARKERS[i], color=colour, alpha=0.85, linewidth=0)
            for axis, start in ((0, bottom), (1, left)):  # the laws of the single outputs, as bars from the frame
                values, heights = _merged(outputs.numpy()[:, axis : axis + 1], probability.numpy())
                lines, bars = (ax.vlines, heights) if axis == 0 else (ax.hlines, heights)
                lines(values[:, 0], start, start + 8 * bars, color=COLOURS["grey"], linewidth=4)
            mean = chances @ points
            covariance = float((chances[:, None] * (points - mean)).T[0] @ (points - mean)[:, 1])
            shown = f"{covariance:.2f}".replace("-", "\u2212") if abs(covariance) > 1e-9 else "0"
            ax.set_title(f"{scheme}\ncovariance {shown}", loc="left")
            ax.set(xlim=(left, right), ylim=(bottom, top), xlabel="output 1")
            said.append(f"{scheme}: {len(points)} different points from {len(outputs)} masks, covariance {shown}")
        np.atleast_1d(axes)[0].set_ylabel("output 2")
    return figure(
        fig,
        name,
        alt=f"Scatter plots of two outputs of one layer under all masks; larger marks are more likely. "
        f"{'; '.join(said)}. The bars along the axes, the law of each output alone, are the same in every panel.",
        caption="Notice the grey bars: looked at alone, each output has the same law in both panels. What differs is "
        "which values come together. Shared coins leave a slanted cloud of a few points, coins of its own for each "
        "wire fill the whole grid.",
    )


def _merged(points: np.ndarray, chances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Different points and their probabilities."""
    different, place = np.unique(points.round(9), axis=0, return_inverse=True)
    return different, np.bincount(place.ravel(), weights=chances)


def error_of_relu(record: Record, name: str = "error-of-relu") -> Picture:
    """Error of two guesses of the mean of a ReLU over all masks, by rate.

    Args:
        record: the record "dropconnect-relu".
        name: name of the picture, unique in its chapter.
    """
    rates = [metric.removeprefix("RMSE, ") for metric in record.metrics if metric.startswith("RMSE")]
    fig, ax = canvas(width=5.4, height=3.0)
    said = []
    with style():
        for i, arm in enumerate(record.arms):
            colour = list(COLOURS.values())[1 - i]
            for j, rate in enumerate(rates):
                values = record.values(f"RMSE, {rate}", arm)
                x = j + 0.22 * (i - 0.5)
                ax.plot(np.full(len(values), x), values, MARKERS[i], color=colour, alpha=0.45, markersize=4)
                ax.hlines(values.mean(), x - 0.09, x + 0.09, color=colour, linewidth=2.5, label=None if j else arm)
                said.append(f"{arm}, {rate}: {values.mean():.2f}")
        ax.set_xticks(range(len(rates)), rates)
        ax.set(yscale="log", ylabel="RMS error of the mean of ReLU")
        ax.set_xlim(-0.5, len(rates) - 0.5)
        _end_labels(ax, record, rates[-1], len(rates) - 1)
    return figure(
        fig,
        name,
        alt="Root-mean-square error of the guessed mean of a ReLU over all masks, on a logarithmic axis, one point a "
        f"seed with a bar for the mean. {'; '.join(said)}.",
        caption="Notice the gap: at every rate the normal moments are several times nearer to the truth than the mean "
        "weights. At the highest rate few wires are left, and a sum of few terms is not very normal.",
    )


def _end_labels(ax, record: Record, rate: str, x: float) -> None:
    for i, arm in enumerate(record.arms):
        value = record.values(f"RMSE, {rate}", arm).mean()
        ax.annotate(
            arm,
            (x + 0.22 * (i - 0.5), value),
            (-14 if i == 0 else -16, 0),
            textcoords="offset points",
            ha="right",
            va="center",
        )


def distance_by_method(record: Record, name: str = "distance-by-method") -> Picture:
    """Divergence of each way of inference from the average over masks.

    Args:
        record: the record "dropconnect-inference".
        name: name of the picture, unique in its chapter.
    """
    fig, ax = canvas(width=5.6, height=3.0)
    said = []
    with style():
        for row, arm in enumerate(record.arms):
            look = 1 if arm.startswith("normal") else 0 if arm.endswith("masks") else 2
            colour = list(COLOURS.values())[look]
            values = record.values("KL", arm)
            ax.plot(values, np.full(len(values), row), MARKERS[look], color=colour, alpha=0.45, markersize=5)
            ax.vlines(values.mean(), row - 0.3, row + 0.3, color=colour, linewidth=2.5)
            said.append(f"{arm} {values.mean():.4f}")
        ax.set_yticks(range(len(record.arms)), record.arms)
        ax.invert_yaxis()
        ax.set(xscale="log", xlabel="KL from the average over masks, in nats")
    return figure(
        fig,
        name,
        alt="Divergence from the average over masks for each way of inference, on a logarithmic axis, one point a "
        f"seed with a bar for the mean: {', '.join(said)} nats.",
        caption="Notice that the closed form, which draws nothing, is nearer than ten draws of anything; and that "
        "normal numbers and masks, draw for draw, come about equally near.",
    )


def gains(record: Record, name: str = "gains") -> Picture:
    """What each kind of mask gains over no masks, in accuracy and in negative log-likelihood, with intervals.

    Args:
        record: the record "dropconnect-accuracy".
        name: name of the picture, unique in its chapter.
    """
    control, *arms = record.arms
    fig, axes = canvas(width=6.6, height=2.7, columns=2, sharey=True)
    said = []
    with style():
        for ax, metric, words in zip(axes, ("accuracy", "NLL"), ("accuracy, points", "NLL, nats"), strict=True):
            ax.axvline(0, color=COLOURS["grey"], linewidth=1)
            for row, arm in enumerate(arms):
                look = 0 if arm.startswith("units") else 1
                effect = record.effect(metric, arm, control)
                ax.hlines(row, effect.low, effect.high, color=list(COLOURS.values())[look], linewidth=2)
                ax.plot(effect.mean, row, MARKERS[look], color=list(COLOURS.values())[look], markersize=7)
                said.append(f"{arm}, {metric}: {effect}")
            ax.set_xlabel(f"change of {words}")
        axes[0].set_yticks(range(len(arms)), arms)
        axes[0].invert_yaxis()
        axes[0].set_ylim(len(arms) - 0.5, -0.5)
    return figure(
        fig,
        name,
        alt=f"Change against training without masks, with 95 % intervals. {'; '.join(said)}.",
        caption="Notice the two rows at p = 0.5: the same rate, and the masks of units gain more. At p = 0.8 the masks "
        "of weights have caught up in accuracy; the masks of units now pay in likelihood.",
    )
