"""Interactive figure of chapter 03: what a neuron hands on in training and at test, under the three schemes."""

import torch

from companion.layers.dropout import dropout, naive_dropout, vanilla_dropout
from companion.widgets.base import InteractiveFigure, interactive

__all__ = ["one_unit_moments", "scaling_figure"]

X = 4.0
STEPS = 20
LAST_STEP = 16  # p = 0.8: beyond it the second moment leaves the picture

SCHEMES = {
    "naive": (naive_dropout, ["m·x", "x"]),
    "vanilla": (vanilla_dropout, ["m·x", "k·x"]),
    "inverted": (dropout, ["m·x/k", "x"]),
}

_CAPTION = """
<strong>Notice.</strong> Move the rate: naive dropout hands on less in training than at test. Vanilla dropout makes the
two equal by weakening the test; inverted dropout makes them equal and leaves the test at full strength. Then switch to
the second moment: inverted dropout keeps the mean but not the square, whose mean grows to
<var>x</var><sup>2</sup>/<var>k</var> in training.
"""
_ALT = """
Three pairs of bars, one pair for each scheme: naive, vanilla, inverted. In each pair the solid bar is the neuron's
expected output in training, the hatched bar that at test. A dashed line marks the full strength of the neuron. Under
each pair stand its formulas, the values that occur in training, and whether training and test match.
"""


def one_unit_moments(scheme, x: float, p: float) -> dict:
    r"""Mean and second moment of one neuron's output, exactly, over its two masks.

    .. math:: \mathbb{E}[y^r] = k\,y_1^r + p\,y_0^r

    with the outputs :math:`y_1` (kept) and :math:`y_0` (dropped) as the function itself returns them in training;
    at test there is one output.

    Args:
        scheme: a dropout function ``f(x, p, training, generator=)``.
        x: the neuron's activation, not zero.
        p: probability of dropping, below 1.

    Returns:
        dict with "kept" (the output of a kept neuron in training), and "mean" and "second", each the pair
        (training, test).
    """
    one = torch.full((4096,), x, dtype=torch.float64)
    outputs = scheme(one, p, True, generator=torch.Generator().manual_seed(0)).unique()
    kept = max(outputs.tolist(), key=abs)
    others = [value for value in outputs.tolist() if value != kept]
    if len(others) > 1:
        raise ValueError(f"scheme must give a neuron two outputs at most, got {len(outputs)}")
    dropped = others[0] if others else kept
    (test,) = set(scheme(one, p, False).tolist())
    return {
        "kept": kept,
        "mean": ((1 - p) * kept + p * dropped, test),
        "second": ((1 - p) * kept**2 + p * dropped**2, test**2),
    }


def _curves(scheme) -> dict:
    moments = [one_unit_moments(scheme, X, j / STEPS) for j in range(LAST_STEP + 1)]
    pairs = {
        name: {
            "train": [round(moment[name][0], 6) for moment in moments],
            "test": [round(moment[name][1], 6) for moment in moments],
        }
        for name in ("mean", "second")
    }
    return {"kept": [round(moment["kept"], 6) for moment in moments], **pairs}


def _fallback(schemes: list[dict]) -> str:
    """The bars at p = 0.5, with scripts off."""
    step = STEPS // 2
    parts = ['<path class="cf-axis" d="M0,180H400"/>']
    spoken = []
    for i, scheme in enumerate(schemes):
        values = {when: scheme["mean"][when][step] for when in ("train", "test")}
        spoken.append(f"{scheme['name']} {values['train']:.1f} and {values['test']:.1f}")
        middle = 67 + 133 * i
        for x, (when, value) in zip((middle - 46, middle + 4), values.items(), strict=True):
            look, height = "cf-blue-fill" if when == "train" else "cf-orange-line", 38 * value
            parts.append(
                f'<rect class="{look}" fill="none" x="{x}" y="{180 - height:g}" width="42" height="{height:g}" rx="2"/>'
            )
            for y, text in ((173 - height, f"{value:.1f}"), (198, when)):
                parts.append(f'<text x="{x + 21}" y="{y:g}" text-anchor="middle">{text}</text>')
        parts.append(f'<text class="cf-strong" x="{middle}" y="220" text-anchor="middle">{scheme["name"]}</text>')
    label = f"Expected output of a neuron of {X} in training and at test, p = 0.5: {'; '.join(spoken)}."
    return (
        f'<svg class="cf-picture cf-still" viewBox="0 0 400 226" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )


def scaling_figure() -> InteractiveFigure:
    """Expected output of a neuron of 4.0 in training and at test, for naive, vanilla and inverted dropout.

    Every value comes from the companion's three functions; the reader chooses the rate, and the mean or the second
    moment.

    Reference: Srivastava et al. (2014), sec. 4 (vanilla) and 10 (inverted).
    """
    schemes = [
        {"name": name, "formulas": formulas, **_curves(function)} for name, (function, formulas) in SCHEMES.items()
    ]
    return interactive(
        "inverted_scaling",
        state={"p": 0.5, "moment": "mean", "x": X, "steps": STEPS, "last": LAST_STEP, "schemes": schemes},
        alt=_ALT,
        caption=_CAPTION,
        fallback=_fallback(schemes),
    )
