"""Interactive figure of chapter 14: six regularizers of one logistic regression, each beside the nearest dropout."""

import functools

import torch.nn.functional as F
from torch import Tensor

from companion.experiments.regularization_family import FEATURES, logistic_data, logistic_paths
from companion.widgets.base import InteractiveFigure, interactive

__all__ = ["family_figure"]

START, METHOD = 8, "L2"
# How each regularizer is related to dropout: what the figure says behind the numbers.
RELATIONS = {
    "dropout": "Dropout asks every feature alike, whatever its unit, and lets copies share.",
    "L2": "Dropout is nearly an L2 that measures each feature in its own unit; plain L2 punishes small numbers.",
    "AdamW": "AdamW takes the same share of every weight; small numbers need a large weight, and lose it first.",
    "L1": "L1 chooses: of two copies it keeps one, and it says exactly zero. Dropout does neither.",
    "early stopping": "Early stopping shrinks what is learned slowly: close to L2, so small numbers suffer.",
    "label smoothing": "Smoothing makes all weights smaller together: it limits what is said, not who says it.",
}
_FORMATS = {
    "dropout": "p = {:.2f}",
    "L2": "λ = {:.3g}",
    "AdamW": "λ = {:.3g}",
    "L1": "λ = {:.3g}",
    "early stopping": "{:.0f} steps",
    "label smoothing": "ε = {:.2f}",
}
_CAPTION = """
<strong>Notice.</strong> Bars show what a feature says: weight times the spread of the feature. The first two features
are equally clear, but the second has a larger unit, so that its numbers are small. Dropout treats the two nearly alike,
and so does label smoothing; L2, AdamW, L1 and early stopping silence the one with small numbers first. Watch the
copies: dropout and L2 make them share, L1 chooses one of them. And only L1 says exactly zero.
"""
_ALT = """
Six groups of bars, one for each feature of a logistic regression: a clear one, an equally clear one with small numbers,
two near copies and two useless ones. In each group a dashed outline shows what the feature says without regularization,
a plain bar what it says under the chosen regularizer, and a hatched bar what it says under that dropout which comes
nearest to it.
"""


def nearest(weights: Tensor, dropout: Tensor) -> Tensor:
    """For each row of ``weights`` the row of ``dropout`` whose largest difference from it is least."""
    return (weights[:, None] - dropout).abs().amax(-1).argmin(1)


@functools.cache
def _state() -> dict:
    x, y = logistic_data()
    new_x, new_y = logistic_data(n=4000, seed=15)
    knobs = logistic_paths(x, y)
    spread = x.square().mean(0).sqrt()
    says = {name: knob.weights * spread for name, knob in knobs.items()}
    methods = {}
    for name, knob in knobs.items():
        losses = [float(F.binary_cross_entropy_with_logits(new_x @ w, new_y)) for w in knob.weights]
        methods[name] = {
            "strengths": ["none"] + [_FORMATS[name].format(strength) for strength in knob.strengths[1:]],
            "says": [[round(value, 2) + 0.0 for value in row] for row in says[name].tolist()],
            "zeros": (knob.weights == 0).sum(1).tolist(),
            "loss": [round(loss, 3) for loss in losses],
            "nearest": nearest(says[name], says["dropout"]).tolist(),
            "relation": RELATIONS[name],
        }
    return {
        "method": METHOD,
        "strength": START,
        "features": list(FEATURES),
        "order": list(methods),
        "methods": methods,
    }


def _fallback(state: dict) -> str:
    """L2 at its middle strength beside no regularization, with scripts off."""
    method = state["methods"][state["method"]]
    none, now = method["says"][0], method["says"][state["strength"]]
    floor, high, parts = 150, 25, []
    for i, name in enumerate(state["features"]):
        x = 4 + 64 * i
        for offset, value, look in ((0, none[i], "cf-gone"), (24, now[i], "cf-blue-fill")):
            tall = max(abs(value) * high, 1)
            top = floor - tall if value >= 0 else floor
            parts.append(f'<rect x="{x + offset}" y="{top:.1f}" width="20" height="{tall:.1f}" class="{look}"/>')
        for line, word in enumerate(name.split()):
            parts.append(f'<text x="{x}" y="{182 + 14 * line}" font-size="11">{word}</text>')
    parts.append(f'<path class="cf-axis" d="M0,{floor}H390"/>')
    said = "; ".join(f"{name} {a:.2f} and {b:.2f}" for name, a, b in zip(state["features"], none, now, strict=True))
    words = f"{state['method']} with {method['strengths'][state['strength']]}: what each feature says, beside none"
    parts.append(f'<text x="0" y="14">{words}</text>')
    return (
        f'<svg class="cf-picture cf-still" viewBox="0 0 392 200" role="img" '
        f'aria-label="{words}. Without and with: {said}.">{"".join(parts)}</svg>'
    )


def family_figure() -> InteractiveFigure:
    """What six features of a logistic regression say under a regularizer, beside the nearest dropout.

    All weights are those of :func:`companion.experiments.regularization_family.logistic_paths`.
    """
    state = _state()
    return interactive("regularization_family", state=state, alt=_ALT, caption=_CAPTION, fallback=_fallback(state))
