"""Pictures and tables of chapter 01: noise, synergy, copies; what removing units leaves, and how much is cancelled."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from companion.experiments.co_adaptation import dropout_regression, noise_deviation, synergy
from companion.experiments.protocol import Record, interval
from companion.figures.svg import COLOURS, DASHES, MARKERS, Picture, canvas, figure, style
from companion.figures.tables import Rows, rows

__all__ = [
    "cancellation_picture",
    "copies_table",
    "noise_table",
    "removal_picture",
    "synergy_table",
    "weights_table",
]

_LOOKS = {"p=0": "orange", "p=0.5": "blue", "weight decay": "green", "early stop": "purple"}


def _band(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    effects = [interval(column) for column in rows.T]
    return tuple(np.array([getattr(effect, part) for effect in effects]) for part in ("mean", "low", "high"))


def removal_picture(record: Record, curve: str = "layer 1") -> Picture:
    """Accuracy against the share of removed units, for four arms with the same 95 % bands as the tables.

    Args:
        record: record of :func:`companion.experiments.co_adaptation.removal`.
        curve: "layer 1" or "layer 2".
    """
    fig, ax = canvas(4.9, 3.5)
    told = []
    for i, (arm, colour) in enumerate(_LOOKS.items()):
        x, rows = record.curve(curve, arm)
        mean, low, high = _band(rows)
        ax.fill_between(100 * x, low, high, color=COLOURS[colour], alpha=0.2, lw=0)
        ax.plot(100 * x, mean, color=COLOURS[colour], ls=DASHES[i], marker=MARKERS[i], ms=5, label=arm)
        half = int(np.argmin(abs(x - 0.5)))
        told.append(f"{arm} from {mean[0]:.0f} to {mean[half]:.0f}%")
    ax.set(xlabel=f"units of {curve} removed (%)", ylabel="test accuracy (%)", ylim=(0, 100))
    with style():  # text that is made here takes its colour from the style
        ax.legend(loc="lower left", handlelength=3)
    return figure(
        fig,
        f"removal-{curve.replace(' ', '-')}",
        alt=f"Test accuracy falls as units of {curve} are removed. With half of them removed: {'; '.join(told)}.",
        caption="Three of the four networks start at nearly the same height. Notice how differently they fall: only "
        "the one trained with dropout stays up when half of its units are gone. Bands are 95 % intervals over seeds.",
    )


def cancellation_picture(record: Record, layer: int = 1) -> Picture:
    """Cancellation index of every network, lines joining the networks of one seed over the drop rates.

    Args:
        record: record of :func:`companion.experiments.co_adaptation.removal`.
        layer: 1 or 2.
    """
    metric = f"cancellation index, layer {layer}"
    fig, ax = canvas(4.9, 3.4)
    rates = [arm for arm in record.arms if arm.startswith("p=")]
    table = np.array([record.values(metric, arm) for arm in record.arms])
    ax.plot(range(len(rates)), table[: len(rates)], color=COLOURS["grey"], lw=0.7, alpha=0.6)
    for i, row in enumerate(table):
        colour = COLOURS["blue" if i < len(rates) else "green" if i == len(rates) else "purple"]
        marker = MARKERS[0 if i < len(rates) else 2 if i == len(rates) else 3]
        ax.plot([i] * len(row), row, marker, color=colour, ms=4.5, alpha=0.75, mew=0)
        ax.plot([i + 0.14, i + 0.38], [row.mean()] * 2, color=colour, lw=3)
    ax.axhline(1, color=COLOURS["grey"], ls=DASHES[2], lw=1.2)
    with style():
        ax.text(len(table) - 0.4, 1.04, "nothing cancelled", ha="right", va="bottom")
    names = [arm.replace("weight decay", "weight\ndecay").replace("early stop", "early\nstop") for arm in record.arms]
    ax.set_xticks(range(len(names)), names)
    ax.set(ylabel="cancellation index", ylim=(0.8, None), xlim=(-0.4, len(table) - 0.4))
    falling = int((np.diff(table[: len(rates)], axis=0) < 0).all(0).sum())
    means = "; ".join(f"{arm} {row.mean():.2f}" for arm, row in zip(record.arms, table, strict=True))
    return figure(
        fig,
        f"cancellation-layer-{layer}",
        alt=f"Cancellation index of layer {layer} of every network, one dot a seed, bars at the means: {means}.",
        caption="1 would mean that all units pull the same way, 3 that two thirds of what they say is cancelled by "
        f"others. Notice that the index falls with every increase of the drop rate in {falling} of {len(table[0])} "
        "seeds (grey lines), and compare the two controls on the right, which were trained at p = 0.",
    )


def _minus(number: str) -> str:
    return number.replace("-", "\u2212")


def noise_table(groups: Mapping[str, Sequence[float]], p: float) -> Rows:
    """Sum, sum of squares and dropout noise of groups of contributions, given by name."""
    table = [
        {
            "who says it": name,
            "sum": f"{sum(c):.3g}",
            "sum of squares": f"{sum(value * value for value in c):.3g}",
            "noise (s.d.)": f"{noise_deviation(c, p):.4g}",
        }
        for name, c in groups.items()
    ]
    return rows(table, f"The same sum, and the noise that dropout at p = {p:g} adds to it.")


def synergy_table(pairs: Mapping[str, Sequence[float]], target: float) -> Rows:
    """Squared error of pairs of contributions when none, one or both are removed, and their synergy."""

    def loss(c: Tensor):
        return lambda mask: float((target - (mask * c).sum()) ** 2)

    removals = {"none gone": (1, 1), "first gone": (0, 1), "second gone": (1, 0), "both gone": (0, 0)}
    table = []
    for name, pair in pairs.items():
        error = loss(torch.tensor(pair, dtype=torch.float64))
        losses = {gone: f"{error(torch.tensor(mask)):g}" for gone, mask in removals.items()}
        contributions = _minus(f"{pair[0]:g} and {pair[1]:g}")
        table.append({"pair": f"{name}: {contributions}", **losses, "synergy": _minus(f"{synergy(error, 2, 0, 1):+g}")})
    return rows(table, f"Squared error for the target {target:g} after removals, and the synergy of the pair.")


def copies_table(x: Tensor, y: Tensor, copies: Sequence[int], rates: Sequence[float]) -> Rows:
    """Weights that dropout gives to identical copies of the feature ``x``, solved without the formula for copies."""
    table = []
    for r in copies:
        row = {"copies": str(r)}
        for p in rates:
            weights = dropout_regression(x[:, None].repeat(1, r), y, p)
            if float(weights.max() - weights.min()) > 1e-9:
                raise ValueError("copies must get equal weights, and they did not")
            row |= {f"each, p = {p:g}": f"{weights[0]:.4f}", f"total, p = {p:g}": f"{weights.sum():.4f}"}
        table.append(row)
    return rows(table, "Weights of identical copies of one feature under dropout on the inputs.")


def weights_table(x: Tensor, y: Tensor, rates: Sequence[float]) -> Rows:
    """Exact weights of linear regression with dropout on the inputs, one row a rate."""
    table = [
        {"training": f"p = {p:g}"}
        | {f"weight {j + 1}": _minus(f"{value:.2f}") for j, value in enumerate(dropout_regression(x, y, p).tolist())}
        for p in rates
    ]
    data = "; ".join(
        " + ".join(f"{value:g}" for value in row) + f" = {total:g}"
        for row, total in zip(x.tolist(), y.tolist(), strict=True)
    )
    return rows(table, f"Exact weights under dropout on the inputs. The data: {data}.")
