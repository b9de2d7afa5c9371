"""Interactive figure of chapter 06: dropped neurons or wires, what outputs keep, and how many patterns there are."""

from companion.ensembles import count_subnetworks
from companion.widgets.base import InteractiveFigure, drop_levels, interactive

__all__ = ["dropconnect_figure"]

STEPS, DRAWS = 20, 30
INPUTS, OUTPUTS = (2, 4, 6, 20), (1, 3, 6, 20)

_CAPTION = f"""
<strong>Notice.</strong> Drop neurons: all outputs keep the same number of wires, because a silent input is silent for
everyone. Drop wires: the numbers scatter, each output has lost others. Now look at one output only and take many masks:
whether neurons or wires are dropped, its number varies alike. The count of patterns says nothing about that. Choose a
single output, and the two counts are the same; choose 20 and 20, and one of them has {len(str(2 ** (20 * 20)))} digits.
"""
_ALT = """
A layer of a network: a row of inputs above, a row of outputs below, a wire from each input to each output. Kept wires
are solid lines; cut ones are dashed, or left out where there are very many. Dropped inputs are dashed and crossed out,
and all of their wires are cut. Below each output stands the number of wires that it keeps, above the picture the number
of possible patterns of dropped neurons and of dropped wires.
"""


def dropconnect_figure() -> InteractiveFigure:
    """One layer with its wires, under masks of its inputs and of its weights, with the exact numbers of patterns.

    Reference: Wan et al. (2013), fig. 1.
    """
    exponents = sorted({*INPUTS, *(n * m for n in INPUTS for m in OUTPUTS)})
    state = {
        "kind": "neurons",
        "p": 0.5,
        "draw": 0,
        "inputs": 4,
        "outputs": 3,
        "steps": STEPS,
        "sizes": {"inputs": list(INPUTS), "outputs": list(OUTPUTS), "most": max(INPUTS)},
        "counts": {str(n): f"{count_subnetworks([n]):,}" for n in exponents},
        "neurons": drop_levels(DRAWS, max(INPUTS), steps=STEPS, seed=1),
        "wires": drop_levels(DRAWS, max(INPUTS) * max(OUTPUTS), steps=STEPS, seed=2),
    }
    return interactive("dropconnect", state=state, alt=_ALT, caption=_CAPTION, fallback=_fallback(state))


def _fallback(state: dict, inputs: int = 4, outputs: int = 3) -> str:
    """The layer with dropped neurons and with dropped wires side by side, first mask at p = 0.5, with scripts off."""
    step, most = STEPS // 2, state["sizes"]["most"]
    kept = {
        "neurons": [[ord(state["neurons"][0][i]) - 97 >= step for i in range(inputs)]] * outputs,
        "wires": [[ord(state["wires"][0][o * most + i]) - 97 >= step for i in range(inputs)] for o in range(outputs)],
    }
    parts, said = [], []
    for panel, (kind, rows) in enumerate(kept.items()):
        left = 240 * panel
        exponent = inputs if kind == "neurons" else inputs * outputs
        parts.append(f'<text x="{left}" y="14">{kind}: {state["counts"][str(exponent)]} patterns</text>')
        x, z = [left + 24 + 52 * i for i in range(inputs)], [left + 50 + 52 * o for o in range(outputs)]
        for o, row in enumerate(rows):
            parts += [
                f'<path class="{"cf-blue-line" if keep else "cf-gone"}" d="M{x[i]},44L{z[o]},124"/>'
                for i, keep in enumerate(row)
            ]
        gone = [kind == "neurons" and not keep for keep in rows[0]]
        parts += [
            f'<circle class="{"cf-gone" if out else "cf-blue-fill"}" cx="{x[i]}" cy="36" r="8"/>'
            for i, out in enumerate(gone)
        ]
        for o, row in enumerate(rows):
            parts.append(f'<circle class="cf-axis" cx="{z[o]}" cy="132" r="8"/>')
            parts.append(f'<text x="{z[o] - 4}" y="158">{sum(row)}</text>')
        said.append(f"{kind} dropped: the outputs keep {', '.join(str(sum(row)) for row in rows)} wires")
    return (
        f'<svg class="cf-picture cf-still" viewBox="0 0 460 166" role="img" aria-label="A layer with {inputs} inputs '
        f'and {outputs} outputs, p = 0.5. {"; ".join(said)}.">{"".join(parts)}</svg>'
    )
