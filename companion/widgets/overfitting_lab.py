"""Interactive figure of chapter 09: the trainer. Predict, train at a rate, see both accuracies, collect the runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from companion.experiments.overfitting_lab import rates_of, run
from companion.experiments.protocol import Record, load
from companion.widgets.base import InteractiveFigure, interactive

__all__ = ["lab_figure"]

_CAPTION = """
<strong>Notice.</strong> Look at the height of the test bar, not at the gap. At small <var>p</var> the training bar is
full and the test bar falls behind; near one half the two meet; at large <var>p</var> they meet as well, at the bottom.
One label in five is wrong, so a network that has learned the digits and none of the wrong labels scores 80% on the
training images: the gap can be negative. Press <em>Again</em> before you believe a difference.
"""
_ALT = """
Three panels. The first shows the accuracy on training images (dashed, ending in a square) and on test images (solid,
ending in a dot) while a network trains for 800 steps. The second shows both at the end as bars, hatched for training
and plain for test, with their gap. The third collects all runs so far: squares and dots against the drop probability p,
with a short line at the mean of every rate that was trained more than once.
"""


def packed(percents: Sequence[float]) -> str:
    """Accuracies as pairs of digits to the base 36, in per mille: "00" is 0, "rs" is 100 percent."""
    return "".join(np.base_repr(round(10 * value), 36).lower().zfill(2) for value in percents)


def _curves(record: Record, curve: str) -> list[list[str]]:
    return [[packed(values) for values in record.curve(curve, arm)[1]] for arm in record.arms]


def _fallback(record: Record) -> str:
    """The means of all recorded runs against the rate, with scripts off."""
    parts = ['<path class="cf-axis" d="M40,170H440"/>']
    for y, text in ((170, "0"), (90, "50"), (10, "100")):
        parts.append(f'<text class="cf-small" x="32" y="{y + 4}" text-anchor="end">{text}</text>')
    best, said = ("", -1.0), []
    for p, arm in rates_of(record).items():
        train, test = (record.mean(f"{part} accuracy", arm).mean for part in ("training", "test"))
        x = 50 + 380 * p
        parts.append(
            f'<rect class="cf-orange-line" fill="none" x="{x - 8:g}" y="{166 - 1.6 * train:.1f}" width="7" height="7"/>'
        )
        parts.append(f'<circle class="cf-blue-fill" cx="{x + 4:g}" cy="{170 - 1.6 * test:.1f}" r="4"/>')
        best = max(best, (arm, test), key=lambda pair: pair[1])
        if p in (0, 0.5, 0.9):
            said.append(f"{arm}: training {train:.0f}%, test {test:.0f}%")
            parts.append(f'<text class="cf-small" x="{x:g}" y="188" text-anchor="middle">{arm}</text>')
    label = f"Mean accuracy of the recorded runs: {'; '.join(said)}. The test accuracy is highest at {best[0]}."
    parts.append('<text x="50" y="208">squares: training images; dots: test images</text>')
    return (
        f'<svg class="cf-picture cf-still" viewBox="0 0 450 216" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )


def _figure(record: Record, live: bool) -> InteractiveFigure:
    state = {
        "p": 0.5,
        "guess": "",
        "runs": [],
        "steps": [int(step) for step in record.curves["test accuracy"]["x"]],
        "train": _curves(record, "training accuracy"),
        "test": _curves(record, "test accuracy"),
        "live": live,
        "asked": {"number": 0},
        "trained": {"number": 0},
    }
    return interactive("overfitting_lab", state=state, alt=_ALT, caption=_CAPTION, fallback=_fallback(record))


def lab_figure(record: Record | None = None, *, live: bool = False, **settings: Any) -> Any:
    """The trainer of the overfitting lab.

    Without a kernel it plays recorded runs, and says so. With ``live=True``, in a notebook with a kernel, every press
    of *Train* trains a network with :func:`companion.experiments.overfitting_lab.run`, the function that made the
    record, with a seed that the record does not have; on the GPU if torch sees one, with a progress bar if it takes
    long.

    Args:
        record: record of :func:`companion.experiments.overfitting_lab.runs`; default: the stored one.
        live: whether to train for real; needs anywidget and ipywidgets.
        settings: passed to :func:`companion.experiments.overfitting_lab.run` if ``live``, for example ``hidden`` or
            ``noise``; those that change the number of looks are the record's.

    Returns:
        An :class:`~companion.widgets.base.InteractiveFigure`, or a widget box if ``live``, whose first child is the
        figure.

    Raises:
        ImportError: if ``live`` and anywidget is not installed.
        TypeError: if there are ``settings`` without ``live``.
    """
    record = record or load("lab-runs")
    if not live:
        if settings:
            raise TypeError(f"settings must go with live=True, got {sorted(settings)}: recorded runs are what they are")
        return _figure(record, live=False)
    widget = _figure(record, live=True).widget()
    import ipywidgets

    progress = ipywidgets.Output()  # where the progress bar appears

    def answer(change: dict[str, Any]) -> None:
        with progress:
            _train(widget, change["new"], **settings)

    widget.observe(answer, "asked")
    return ipywidgets.VBox([widget, progress])


def _train(widget: Any, asked: dict[str, Any], **settings: Any) -> None:
    """Trains what was asked for and sends both curves after every look; at last also what no dropout reaches."""
    p, seed = float(asked["p"]), int(asked["seed"])
    steps = widget.steps
    settings = {
        "steps": steps[-1],
        "every": steps[1],
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        **settings,
    }
    train, test = [], []

    def send(base: int | None = None) -> None:
        news = {"number": asked["number"], "train": [*train], "test": [*test], "base": base, "done": base is not None}
        widget.trained = news

    def look(step: int, on_train: float, on_test: float) -> None:
        train.append(round(10 * on_train))
        test.append(round(10 * on_test))
        send()

    run(p, seed, look=look, progress=f"p = {p:g}, seed {seed}", **settings)
    without = test if p == 0 else [round(10 * run(0.0, seed, progress=f"p = 0, seed {seed}", **settings).test[-1])]
    send(without[-1])
