"""Interactive figures of chapter 13: the sites of a transformer with what was measured there, and masks over time."""

from companion.experiments.protocol import load
from companion.widgets.base import InteractiveFigure, drop_levels, interactive

__all__ = ["sites_figure", "time_figure"]

STEPS, LENGTH, UNITS, DRAWS = 20, 20, 8, 12

# Name of the choice, the sites that it switches on, arms of the record with their rates, what is dropped.
_SITES = {
    "embedding": (
        "embedding",
        ("embedding",),
        ("embedding 0.1", "embedding 0.5"),
        "Embedding: tokens with their positions, before the first block.",
    ),
    "attention": (
        "attention",
        ("attention",),
        ("attention 0.1", "attention 0.5"),
        "Attention: the weights behind the softmax, whose rows then no longer sum to 1.",
    ),
    "residual": (
        "branch",
        ("residual",),
        ("residual 0.1", "residual 0.5"),
        "Branch: what attention and the ReLU layer put out, before the addition. The shortcut stays whole.",
    ),
    "ff": ("ReLU layer", ("ff",), ("ff 0.1", "ff 0.5"), "ReLU layer: its hidden units."),
    "head": (
        "head",
        ("head",),
        ("head 0.1", "head 0.5"),
        "Head: the mean over the tokens, in front of the last layer.",
    ),
    "sum": (
        "behind the sum",
        ("sum",),
        ("sum 0.1", "sum 0.5"),
        "Behind the sum: a mistake. Every addition loses a part of the shortcut as well.",
    ),
    "three": (
        "three sites",
        ("attention", "residual", "ff"),
        ("three sites 0.1", "three sites 0.3", "three sites 0.5"),
        "Three sites at once: attention, branches and ReLU layer.",
    ),
    "all": (
        "all five",
        ("embedding", "attention", "residual", "ff", "head"),
        ("all five 0.1",),
        "All five sites at once.",
    ),
}
_KINDS = [["fresh", "new at each step"], ["locked", "locked"], ["between", "between layers (nn.LSTM)"]]

_SITES_CAPTION = """
<strong>Notice.</strong> The long vertical line is the shortcut. Dropout on a branch leaves it whole; dropout behind the
sum sits on it, and at <var>p</var> = 0.5 that costs more accuracy than any other choice. On average a rate of 0.1 hurts
nowhere in this small network of two blocks; a rate of 0.5 does at some sites, and at three at once. Then choose "behind
the sum" and add blocks: the deeper the network, the less of the shortcut is left.
"""
_SITES_ALT = """
A transformer from top to bottom. A vertical line, the shortcut, runs from tokens and positions through a block, which
is passed twice, to the head. Two branches leave it and come back to it at a plus sign: attention, then a ReLU layer.
Small rings mark the places where one can drop; those of the chosen site are large, crossed out and labelled. Below, the
change of the test accuracy for each rate, a dot with its interval on an axis with a line at zero, and two bars: the
probability that a feature of the shortcut comes through whole, for two rates and a chosen number of blocks.
"""
_TIME_CAPTION = """
<strong>Notice.</strong> With a new mask at each step every coin is another chance to forget: the bars fall like
<var>k</var><sup><var>t</var></sup>. Locked, a unit that survives the first coin survives them all, and the bars stay.
Between layers `nn.LSTM` throws a new coin at each step as well, but what it drops is on its way up to the next layer;
the memory inside a layer is never touched.
"""
_TIME_ALT = """
A grid of units (rows) and steps (columns). A cell is filled where the mask keeps the unit and the unit still remembers
the first step, hollow where it is kept but has forgotten, and dashed with a cross where it is dropped. Below, one bar a
step: how many units still hold what the first step left, with a line for the expected number.
"""


def sites_figure() -> InteractiveFigure:
    """Where a transformer drops, and what that did to the accuracy of small ones (record "transformer-sites").

    Reference: Vaswani et al. (2017), sec. 5.4.
    """
    record = load("transformer-sites")

    def effect(arm: str) -> list:
        found = record.effect("accuracy", arm, "none")
        return [arm.rsplit(" ", 1)[1], *(round(value, 1) for value in (found.mean, found.low, found.high))]

    sites = {
        key: {"active": list(active), "effects": [effect(arm) for arm in arms], "what": what}
        for key, (_, active, arms, what) in _SITES.items()
    }
    return interactive(
        "transformers_and_rnns",
        state={
            "view": "sites",
            "site": "residual",
            "blocks": 2,
            "sites": sites,
            "names": [[key, words[0]] for key, words in _SITES.items()],
        },
        alt=_SITES_ALT,
        caption=_SITES_CAPTION,
        fallback=_sites_fallback(sites),
    )


def time_figure() -> InteractiveFigure:
    """Masks over the steps of a sequence, and what they leave of a memory.

    Reference: Gal & Ghahramani (2016), fig. 1; Zaremba et al. (2014), fig. 2.
    """
    masks = drop_levels(DRAWS, UNITS * LENGTH, steps=STEPS, seed=13)
    return interactive(
        "transformers_and_rnns",
        state={
            "view": "time",
            "p": 0.1,
            "draw": 0,
            "kind": "fresh",
            "kinds": _KINDS,
            "steps": STEPS,
            "units": UNITS,
            "masks": masks,
        },
        alt=_TIME_ALT,
        caption=_TIME_CAPTION,
        fallback=_time_fallback(masks[0]),
    )


def _sites_fallback(sites: dict) -> str:
    """The measured changes of all sites, with scripts off."""
    parts, y = ['<path class="cf-axis" d="M340,16V{bottom}"/>'], 14
    words = []
    for key, site in sites.items():
        for p, mean, low, high in site["effects"]:
            y += 20
            x, left, right = (340 + 8 * value for value in (mean, low, high))
            parts.append(f'<text x="0" y="{y}">{_SITES[key][0]}, p = {p}</text>')
            parts.append(f'<path class="cf-blue-line" d="M{left:.1f},{y - 4}H{right:.1f}"/>')
            parts.append(f'<circle class="cf-blue-fill" cx="{x:.1f}" cy="{y - 4}" r="4"/>')
            words.append(f"{_SITES[key][0]}, p = {p}: {mean:+.1f}".replace("-", "−"))
    text = f"Change of the test accuracy against no dropout, in points. {'; '.join(words)}."
    body = "".join(parts).replace("{bottom}", str(y + 6))
    return f'<svg class="cf-picture cf-still" viewBox="0 0 460 {y + 12}" role="img" aria-label="{text}">{body}</svg>'


def _time_fallback(letters: str) -> str:
    """The first masks at p = 0.1, drawn at each step and locked, with scripts off."""
    level, parts, left = round(0.1 * STEPS), [], {}
    for place, kind in enumerate(("fresh", "locked")):
        top, remembering = 24 + 190 * place, 0
        cells: dict[str, str] = {}
        name = dict(_KINDS)[kind]
        parts.append(f'<text class="cf-strong" x="0" y="{top - 8}">{name}</text>')
        for u in range(UNITS):
            alive = True
            for t in range(LENGTH):
                kept = ord(letters[u * LENGTH + (0 if kind == "locked" else t)]) - 97 >= level
                alive &= kept
                look = "cf-blue-fill" if alive else "cf-axis" if kept else "cf-gone"
                cells[look] = cells.get(look, "") + f"M{22 * t},{top + 19 * u}h19v15h-19z"
            remembering += alive
        parts += [f'<path class="{look}" d="{path}"/>' for look, path in cells.items()]
        left[name] = remembering
    words = "; ".join(f"{name}: {n} of {UNITS} units still hold what the first step left" for name, n in left.items())
    return (
        f'<svg class="cf-picture cf-still" viewBox="0 0 442 370" role="img" aria-label="Masks over {LENGTH} steps at '
        f'p = 0.1. {words}.">{"".join(parts)}</svg>'
    )
