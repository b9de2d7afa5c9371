"""Interactive figure of chapter 10: click a site of a network, see the habit, the evidence and the measured gain."""

import tomllib
from importlib import resources

from companion.experiments.protocol import Record, load
from companion.figures.placement import STRENGTHS, evidence
from companion.widgets.base import InteractiveFigure, interactive

__all__ = ["placement_figure"]

# The parts of each network in order, with the sites between them; "+" is the addition of the shortcut.
NETWORKS = {
    "mlp": (
        "MLP",
        ["pixels", ["input"], "layer, ReLU", ["hidden 1"], "layer, ReLU", ["hidden 2"], "layer", ["logits"], "softmax"],
    ),
    "conv": (
        "convolutional",
        [
            "pixels", ["input"], "conv, ReLU", ["conv 1"], "conv, ReLU", ["conv 2"], "max pool", ["pool"],
            "dense, ReLU", ["dense"], "layer", ["logits"], "softmax",
        ],
    ),
    "transformer": (
        "transformer",
        [
            "tokens", "layer", ["embedding"], "attention softmax", ["attention"], "values, layer", ["residual"], "+",
            ["sum"], "layer, ReLU", ["ff"], "layer", ["residual"], "+", ["sum"], "mean", ["head"], "layer", "softmax",
        ],
    ),
}  # fmt: skip
# Records and their arms: site -> [[label of the arm in the chart, arm], ...].
MLP = {
    "input": [["0.2", "input 0.2"], ["0.5", "input 0.5"]],
    "hidden 1": [["0.5", "hidden 1 at 0.5"]],
    "hidden 2": [["0.5", "hidden 2 at 0.5"]],
    "logits": [["0.2", "logits 0.2"], ["0.5", "logits 0.5"]],
    "several": [["hidden 0.5", "both hidden 0.5"], ["and input 0.2", "input 0.2, both hidden 0.5"]],
}
CONV = {
    site: [[f"{p:g}", f"{site} {p:g}"] for p in (0.1, 0.2, 0.3, 0.5, 0.7)]
    for site in ("input", "conv 1", "conv 2", "pool", "dense", "logits")
}
TRANSFORMER = {
    site: [[f"{p:g}", f"{site} {p:g}"] for p in (0.1, 0.5)]
    for site in ("embedding", "attention", "residual", "sum", "ff", "head")
} | {"all": [["all five 0.1", "all five 0.1"], ["three 0.1", "three sites 0.1"], ["three 0.5", "three sites 0.5"]]}
NAMES = {"ff": "hidden layer", "all": "several", "attention": "attention weights", "residual": "branch"}

_CAPTION = """
<strong>Notice.</strong> In the MLP, look at the input, where tutorials want no dropout at all. In the convolutional
net, walk from the input to the logits and watch where high rates turn to harm. In the transformer, compare the branch
with the sum. And read what stands behind a rate before you believe it: a paper with a control, a paper without, or
folklore. All gains are from small networks on few digits, one label in five wrong.
"""
_ALT = """
A network drawn as a chain of boxes, with numbered circles where dropout can be put; the chosen one is filled. Below, a
chart of the measured gain in test accuracy over no dropout at that site, one dot a rate with the line of its 95 percent
interval, around a line at zero.
"""


def _rules() -> dict[str, dict[str, str]]:
    text = resources.files("companion.figures").joinpath("placement.toml").read_text(encoding="utf-8")
    return {site["key"]: site for site in tomllib.loads(text)["site"]}


def _evidence(key: str) -> list[list[str]]:
    """For one site: strength, source and what was found, in words."""
    found = []
    for row in evidence():
        if key in row.sites:
            source = ", ".join(filter(None, (row.paper, row.task)))
            rate = f"p = {row.rate}" if row.rate[0].isdigit() else f"{row.rate} p"
            numbers = f" {row.numbers}." if row.before is not None else ""
            found.append(
                [
                    STRENGTHS[row.strength],
                    f"{source}: " if source else "",
                    f"{rate}, {row.where}.{numbers} {row.says}",
                ]
            )
    return found


def _site(network: str, site: str, arms: list[list[str]], record: Record) -> dict:
    rule = _rules()[f"{network}/{site}"]
    gains = [(label, record.effect("accuracy", arm, "none")) for label, arm in arms]
    return {
        "id": site,
        "name": NAMES.get(site, site),
        "habit": rule["habit"],
        "rule": rule["rule"],
        "evidence": _evidence(f"{network}/{site}"),
        "gains": [[label, *(round(value, 2) for value in (gain.mean, gain.low, gain.high))] for label, gain in gains],
    }


def placement_figure() -> InteractiveFigure:
    """Three networks with their sites: habit, evidence with its strength, and the gains of the stored records."""
    parts = {
        "mlp": ("placement-mlp", MLP),
        "conv": ("placement-conv", CONV),
        "transformer": ("transformer-sites", TRANSFORMER),
    }
    networks = {}
    for key, (name, sites) in parts.items():
        record = load(name)
        networks[key] = {
            "chain": NETWORKS[key][1],
            "none": round(record.mean("accuracy", "none").mean, 1),
            "seeds": len(record.seeds),
            "sites": [_site(key, site, arms, record) for site, arms in sites.items()],
        }
    state = {
        "network": "mlp",
        "mlp": 1,
        "conv": 1,
        "transformer": 3,
        "names": [[key, NETWORKS[key][0]] for key in networks],
        "networks": networks,
    }
    return interactive("placement", state=state, alt=_ALT, caption=_CAPTION, fallback=_fallback(networks["mlp"]))


def _fallback(mlp: dict) -> str:
    """All gains of the MLP as bars, with scripts off."""
    bars = [
        (f"{site['name']} {label}" if site["id"] != "several" else label, mean)
        for site in mlp["sites"]
        for label, mean, *_ in site["gains"]
    ]
    most = max(abs(mean) for _, mean in bars)
    parts, said = [], []
    for i, (name, mean) in enumerate(bars):
        y, width = 20 + 26 * i, 200 * abs(mean) / most
        x = 150 if mean >= 0 else 150 - width
        look = "cf-blue-fill" if mean >= 0 else "cf-orange-fill"
        parts.append(f'<text class="cf-small" x="142" y="{y + 14}" text-anchor="end">{name}</text>')
        parts.append(f'<rect class="{look}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="18"/>')
        words = f"{mean:+.1f}".replace("-", "−")
        parts.append(f'<text class="cf-small" x="{max(150, x + width) + 6:.1f}" y="{y + 14}">{words}</text>')
        said.append(f"{name} {words}")
    label = f"Gain in test accuracy of an MLP over no dropout, in points: {'; '.join(said)}."
    parts.append('<text x="0" y="12">MLP: gain over no dropout, in points</text>')
    height = 30 + 26 * len(bars)
    return (
        f'<svg class="cf-picture cf-still" viewBox="0 0 420 {height}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )
