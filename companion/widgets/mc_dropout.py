"""Interactive figure of chapter 12: a digit is turned, and the predictions of many passes spread."""

from typing import Any

from torch import nn

from companion.data import Examples
from companion.experiments.mc_dropout import LEVELS, one_network, packed_turn, turned_digit
from companion.experiments.protocol import Record, load
from companion.widgets.base import InteractiveFigure, interactive

__all__ = ["turning_figure"]

_CAPTION = """
<strong>Notice.</strong> Start with the 6. Upright, all dots lie together. Turn it a little: they spread over two
classes, and the entropy grows in both of its parts. Turn it further: the dots come together again, at a wrong
class, and the entropy is gone. Twenty thinned networks agree and err. The diamond, one pass with dropout off, is
mostly surer still. The 4 is hardly ever doubted, and seems to be right by luck: nearly every digit that is turned by a
quarter is a 4 to this network.
"""
_ALT = """
Three panels. A digit of eight by eight pixels, as it is turned. Ten columns, one a class, each with twenty dots for the
probabilities that twenty passes with dropout give it, a line at their mean and a diamond at what one pass without
dropout says; the true class is framed. A chart of the entropy of the mean against the angle, in two layers: what
every pass is unsure of, plain, and what the passes disagree about, hatched; a line marks the present angle.
"""
_LIVE_ANGLES = tuple(range(0, 181, 5))


def _number(pair: str) -> int:
    return int(pair, 36)


def _fallback(record: Record) -> str:
    """One digit at four angles, with what the mean of the passes says, with scripts off."""
    digit, pack = next(iter(record.notes["digits"].items()))
    angles = [int(angle) for angle in record.notes["angles"]]
    parts, said = [], []
    for place, angle in enumerate((0, 30, 60, 90)):
        step = angles.index(angle)
        mean = [_number(pack["mean"][step][i : i + 2]) for i in range(0, 20, 2)]
        expected, mutual = (_number(pack["entropy"][step][i : i + 2]) for i in (0, 2))
        top = mean.index(max(mean))
        left = 12 + 110 * place
        shades: dict[int, list[str]] = {}  # one path for each of a few shades: the fallback stays short
        for i, letter in enumerate(pack["images"][step]):
            if shade := round(LEVELS.index(letter) / 63 * 8):
                shades.setdefault(shade, []).append(f"M{left + 10 * (i % 8)},{8 + 10 * (i // 8)}h10v10h-10z")
        for shade, cells in sorted(shades.items()):
            parts.append(f'<path fill="currentColor" fill-opacity="{shade / 8:g}" d="{"".join(cells)}"/>')
        parts.append(f'<rect class="cf-axis" fill="none" x="{left}" y="8" width="80" height="80"/>')
        parts.append(f'<text class="cf-small" x="{left}" y="106">{angle}°: {top} ({mean[top] / 10:.0f}%)</text>')
        parts.append(f'<rect class="cf-orange-fill" x="{left}" y="116" width="{expected * 0.35:.1f}" height="10"/>')
        parts.append(
            f'<rect class="cf-purple-fill" x="{left + expected * 0.35:.1f}" y="116" width="{mutual * 0.35:.1f}" '
            'height="6"/>'
        )
        said.append(
            f"turned by {angle} degrees it says {top} with {mean[top] / 10:.0f}%, entropy "
            f"{(expected + mutual) / 100:.2f} nats, of which {mutual / 100:.2f} disagreement"
        )
    label = f"A {digit}, and what the mean of 20 passes says: {'; '.join(said)}."
    parts.append(
        '<text class="cf-small" x="12" y="146">bars: entropy; thick: every pass is unsure, thin: passes disagree</text>'
    )
    return (
        f'<svg class="cf-picture cf-still" viewBox="0 0 450 154" role="img" aria-label="{label}">{"".join(parts)}</svg>'
    )


def _figure(record: Record, state: dict[str, Any]) -> InteractiveFigure:
    return interactive("mc_dropout", state=state, alt=_ALT, caption=_CAPTION, fallback=_fallback(record))


def turning_figure(
    record: Record | None = None,
    *,
    live: bool = False,
    network: tuple[nn.Module, Examples] | None = None,
    passes: int = 20,
) -> Any:
    """The digit that is turned.

    Without a kernel it shows recorded passes. With ``live=True``, in a notebook with a kernel, a network answers now,
    for any test image, with masks that can be drawn anew.

    Args:
        record: record of :func:`companion.experiments.mc_dropout.turned_digits`; default: the stored one.
        live: whether to ask a network; needs anywidget.
        network: which network, if ``live``, and its test images, as
            :func:`companion.experiments.mc_dropout.one_network` returns them; any module with dropout that maps
            (n, 64) to logits (n, 10) will do. Default: that function's, trained now.
        passes: number of passes, at least 2, if ``live``.

    Returns:
        An :class:`~companion.widgets.base.InteractiveFigure`, or an anywidget if ``live``.

    Raises:
        ImportError: if ``live`` and anywidget is not installed.
        TypeError: if there is a ``network`` without ``live``.
        ValueError: if ``passes`` is below 2.
    """
    record = record or load("mc-turned-figure")
    if passes < 2:
        raise ValueError(f"passes must be at least 2, got {passes}")
    if not live:
        if network is not None:
            raise TypeError("network must go with live=True: recorded passes are what they are")
        digits = record.notes["digits"]
        angles = [int(angle) for angle in record.notes["angles"]]
        state = {"angle": 0, "digit": next(iter(digits)), "digits": digits, "angles": angles, "live": False}
        return _figure(record, state)
    model, test = network or one_network()
    images, labels = test.x[0].cpu(), test.y[0].cpu()
    device = next(model.parameters()).device

    def answer(index: int, seed: int) -> dict[str, Any]:
        turned = turned_digit(model, images[index], _LIVE_ANGLES, passes, seed, device=device)
        return {"truth": int(labels[index]), "pack": packed_turn(turned)}

    state = {
        "angle": 0,
        "index": 0,
        "images": len(labels),
        "angles": list(_LIVE_ANGLES),
        "asked": {"number": 0, "index": 0, "seed": 0},
        "shown": answer(0, 0),
        "live": True,
    }
    widget = _figure(record, state).widget()

    def reply(change: dict[str, Any]) -> None:
        widget.shown = answer(int(change["new"]["index"]), int(change["new"]["seed"]))

    widget.observe(reply, "asked")
    return widget
