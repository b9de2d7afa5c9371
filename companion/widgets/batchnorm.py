"""Interactive figure of chapter 11: the variance shift at every BatchNorm, predicted and measured, in three orders."""

from companion.batchnorm import predicted_shift
from companion.experiments.batchnorm import NORMS, RATES, arm_of
from companion.experiments.protocol import Record, load
from companion.widgets.base import InteractiveFigure, interactive

__all__ = ["shift_figure"]

STEPS = 10  # of the slider, for p from 0 to 1; the last trained rate is 0.9
FINE = 45  # points of the curve between 0 and the last rate: a tenth is five of them
ACTIVATIONS = {"relu": ("ReLU", "relu"), "gelu": ("GELU", "gelu"), "tanh": ("tanh", "identity")}
ORDERS = {
    "dropout first": "dropout, then BN",
    "norm first": "BN, then dropout",
    "head only": "one dropout, after all BN",
}

_CAPTION = """
<strong>Notice.</strong> With ReLU and dropout in front of each BatchNorm, the first is shifted about as the formula
says, the deeper ones more, because the dropouts further up are off at evaluation as well. Then choose “BN, then
dropout”: the first BatchNorm is safe now, the second and third are not, because the dropout behind one BatchNorm is
the dropout in front of the next. Only one dropout behind the last BatchNorm leaves all bars near 1. Change the
activation: at moderate rates, units with a mean far from zero (ReLU) are shifted more than units around zero (tanh).
"""
_ALT = """
Above, the network as a chain: squares for its three BatchNorm layers, crossed circles for dropout, in the chosen order.
In the middle, two bars for each BatchNorm: hatched, the ratio of the variances at evaluation and in training that the
formula predicts; solid, the ratio measured in trained networks, with its interval. A dashed line at 1 means no shift.
Below, the same ratios over all rates: circles, squares and triangles for the measured first, second and third
BatchNorm, a curve for the formula directly behind a dropout, and a vertical line at the chosen rate.
"""


def _ratios(record: Record, order: str, activation: str) -> dict:
    """Predicted and measured mean, and the half-width of its interval: one row a BatchNorm, one entry a rate."""
    arms = [arm_of(order, p, activation) for p in RATES]
    measured = [[record.mean(f"ratio at BN {i}", arm) for arm in arms] for i in NORMS]
    predicted = [[record.mean(f"predicted at BN {i}", arm).mean for arm in arms] for i in NORMS]
    return {
        "measured": [[round(effect.mean, 3) for effect in row] for row in measured],
        "half": [[round(effect.half, 3) for effect in row] for row in measured],
        "predicted": [[round(value, 3) for value in row] for row in predicted],
    }


def shift_figure() -> InteractiveFigure:
    """Predicted and measured variance ratio at three BatchNorm layers: rate, activation and order can be chosen.

    Reference: Li et al. (2019), sec. 3 and 4.
    """
    relu, others = load("batchnorm-clean"), load("batchnorm-activations-figure")
    nets = {
        activation: {order: _ratios(relu if activation == "relu" else others, order, activation) for order in ORDERS}
        for activation in ACTIVATIONS
    }
    last = RATES[-1]
    curves = {
        activation: [round(predicted_shift(last * i / FINE, formula), 4) for i in range(FINE + 1)]
        for activation, (_, formula) in ACTIVATIONS.items()
    }
    return interactive(
        "batchnorm",
        state={
            "p": 0.5,
            "order": "dropout first",
            "activation": "relu",
            "steps": STEPS,
            "last": last,
            "nets": nets,
            "curves": curves,
            "orders": [[name, words] for name, words in ORDERS.items()],
            "activations": [[name, words] for name, (words, _) in ACTIVATIONS.items()],
        },
        alt=_ALT,
        caption=_CAPTION,
        fallback=_fallback(nets["relu"]),
    )


def _fallback(nets: dict) -> str:
    """The measured ratios of all three orders at p = 0.5, with scripts off."""
    at = RATES.index(0.5)
    parts, spoken = [], []
    for row, (order, words) in enumerate(ORDERS.items()):
        values = [ratios[at] for ratios in nets[order]["measured"]]
        y = 24 + 92 * row
        parts.append(f'<text class="cf-strong" x="0" y="{y - 8}">{words}</text>')
        for i, value in enumerate(values):
            top = y + 24 * i
            parts.append(f'<text class="cf-small" x="0" y="{top + 14}">BN {i + 1}</text>')
            parts.append(f'<rect class="cf-blue-fill" x="48" y="{top}" width="{320 * value:.1f}" height="18" rx="2"/>')
            parts.append(f'<text x="{54 + 320 * value:.1f}" y="{top + 14}">{value:.2f}</text>')
        spoken.append(f"{words}: {', '.join(f'{value:.2f}' for value in values)}")
    parts.append('<path class="cf-axis cf-dashed" d="M368,16V292"/>')
    label = (
        "Variance at evaluation over stored variance at three BatchNorm layers, ReLU, p = 0.5; a dashed line marks 1. "
        f"{'; '.join(spoken)}."
    )
    return (
        f'<svg class="cf-picture cf-still" viewBox="0 0 420 300" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )
