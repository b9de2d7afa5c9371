"""Chapter 07, stochastic depth: how deep a step is, which coin decides about what, and what is really computed."""

import math

import torch
from torch import Tensor

from companion.assignments.check import (
    Answer,
    exercise,
    function,
    integer,
    near,
    not_yet,
    number,
    off,
    tensor,
    uniform,
)
from companion.assignments.checks.coins import SWAPPED, follows_generator

# ---- expected_blocks

RULES = ("paper", "both ends", "from zero")


def _rates(blocks: int, p_last: float, rule: str) -> list[float]:
    numbers = range(1, blocks + 1)
    if rule == "paper":
        return [p_last * l / blocks for l in numbers]
    return [p_last * (l - 1) / (blocks - 1 if rule == "both ends" else blocks) for l in numbers]


@exercise("ch07.expected_blocks")
def expected_blocks(answer: object, g: torch.Generator) -> str:
    """``expected_blocks(blocks, p_last, rule)``: the sum of 1 - p_l."""
    f = function(answer)
    cases = [(50, 0.5), (54, 0.5), (12, 0.8), (7, 1.0), (2, 0.3), (9, 0.0)]
    cases += [(integer(g, 3, 80), uniform(g, 0.1, 0.9)) for _ in range(4)]
    for blocks, p in cases:
        want = {rule: math.fsum(1 - rate for rate in _rates(blocks, p, rule)) for rule in RULES}
        for rule in RULES:
            got = number(f(blocks, p, rule), "the expected number")
            if near(got, want[rule]):
                continue
            told = f"(For {blocks} blocks, p_last = {p} and the rule {rule!r} you gave {got:.6g}.)"
            if near(got, blocks - want[rule]):
                not_yet(f"that is the expected number of blocks that are dropped. Count those that survive. {told}")
            if near(got, blocks * (1 - p)):
                not_yet(
                    f"that would be so if every block had the rate of the last one. The earlier ones survive more "
                    f"often: add up a probability for each block. {told}"
                )
            if got == math.floor(want[rule]) or got == round(want[rule]):
                not_yet(
                    f"an expected value need not be a whole number: it is a mean over many steps. Do not round. {told}"
                )
            if rule != "paper" and near(got, want["paper"]):
                not_yet(
                    f"this is the paper's rule. The rule {rule!r} gives the first block the rate 0, so look at what "
                    f"the number of a block is divided by, and where counting begins. {told}"
                )
            for other in RULES:
                if near(got, want[other]):
                    not_yet(
                        f"that is what the rule {other!r} gives, not {rule!r}. Write down the first and the last rate "
                        f"of each. {told}"
                    )
            not_yet(f"add up 1 - p_l over the blocks l = 1, ..., L, with the rates of this rule. {told}")
    return "Three straight lines, three depths. A program should say which one it means."


# ---- drop_path


def _branch_values(g: torch.Generator, *shape: int) -> Tensor:
    x = torch.randn(*shape, generator=g)
    return x + x.sign()  # no zeros, so that a zero in the output was dropped


def _path(f: Answer, y: Tensor, p: float, training: bool, mode: str, g: torch.Generator | None) -> Tensor:
    out = tensor(f(y, p, training=training, mode=mode, generator=g), "the output")
    if out.shape != y.shape:
        not_yet(f"the output must have the shape of y, {tuple(y.shape)}; yours has {tuple(out.shape)}.")
    if out.dtype != y.dtype:
        not_yet(f"the output must have the dtype of y: y is {y.dtype}, your output {out.dtype}.")
    return out


def _identity(out: Tensor, y: Tensor, p: float) -> None:
    if torch.equal(out, y):
        return
    if torch.allclose(out, y * (1 - p)):
        not_yet(
            f"with training=False you multiply by 1 - p = {1 - p:g}. That belongs to the convention of the paper, "
            "which does not divide in training. Here the branch has paid in training: return it unchanged."
        )
    if torch.allclose(out * (1 - p), y):
        not_yet("with training=False you divide by 1 - p. The factor belongs to training.")
    not_yet("with training=False nothing is dropped and nothing is scaled: return y unchanged.")


def _factor(ratio: Tensor, p: float) -> None:
    """Refuses survivors of a branch that are not scaled by 1 / (1 - p)."""
    k = 1 - p
    factor = float(ratio.median())
    told = f"(At p = {p:g} your survivors are {factor:.4g} times the branch; they should be {1 / k:.4g} times.)"
    if (ratio - 1 / k).abs().max() <= 1e-4 / k:
        return
    if (ratio - factor).abs().max() > 1e-3 * abs(factor):
        not_yet(f"the survivors are not all scaled by the same factor. {told}")
    hints = {
        1.0: "nothing is scaled in training, so a branch that is always there at evaluation is too large by then",
        k: "you multiply the survivors by 1 - p. Divide, to make up for the steps in which they are dropped",
        1 / k**2: "the factor is applied twice",
        1 / p: "you divide by p. What survives on average is 1 - p, so divide by that",
    }
    for value, hint in hints.items():
        if near(factor, value, tolerance=1e-3):
            not_yet(f"{hint}. {told}")
    not_yet(f"the factor is off. {told}")


def _kept_rows(out: Tensor, y: Tensor) -> Tensor:
    """Which samples survived, Tensor[N] of 0 and 1; refuses samples of which only a part did."""
    kept = (out != 0).flatten(1)
    if (kept.any(1) != kept.all(1)).any():
        not_yet(
            "a sample survives as a whole or not at all, and in yours some entries were dropped and others not. One "
            f"coin a sample is a mask of shape (N, 1, ..., 1), as many axes as y has; y was {tuple(y.shape)}."
        )
    return kept.any(1).double()


def _coins_of_rows(f: Answer, p: float, g: torch.Generator) -> None:
    """Share and independence of the coins in mode "row"."""
    draws = torch.stack(
        [_kept_rows(_path(f, torch.ones(200, 2), p, True, "row", g), torch.ones(1)) for _ in range(120)]
    )
    if ((draws == draws[:, :1]).all(1)).all():
        not_yet('in the mode "row" every sample throws a coin of its own; yours were all kept or all dropped together.')
    if off(lambda: draws.flatten(), 1 - p, math.sqrt(p * (1 - p))) is not None:
        got = float(draws.mean())
        if near(got, p, tolerance=0.03):
            not_yet(f"{SWAPPED} At p = {p:g} a share of {got:.3f} of the samples survived.")
        not_yet(f"at p = {p:g} a share of {1 - p:g} of the samples should survive, and {got:.3f} of yours did.")
    counts = draws.sum(1)
    ratio = float(counts.var()) / (200 * p * (1 - p))
    if abs(ratio - 1) > 6 * math.sqrt(2 / len(counts)):
        not_yet(
            f"the coins of the samples are not independent: the number of survivors varies {ratio:.2f} times as much "
            "as with independent coins. Do not fix how many survive."
        )


def _coin_of_the_batch(f: Answer, p: float, g: torch.Generator) -> None:
    y = torch.ones(6, 3)

    def draw() -> Tensor:
        kept = torch.stack([_kept_rows(_path(f, y, p, True, "batch", g), y) for _ in range(150)])
        if (kept != kept[:, :1]).any():
            not_yet('in the mode "batch" one coin decides about all samples together; yours had different fates.')
        return kept[:, 0]

    got = off(draw, 1 - p, math.sqrt(p * (1 - p)))
    if got is not None:
        not_yet(
            f'in the mode "batch" at p = {p:g}, a share of {1 - p:g} of the calls should keep; yours kept {got:.3f}.'
        )


@exercise("ch07.drop_path")
def drop_path(answer: object, g: torch.Generator) -> str:
    """``drop_path(y, p, training=True, mode="row", generator=None)``: m y / (1 - p) with a coin a row or a batch."""
    f = function(answer)
    modes = ("row", "batch")
    for mode in modes:
        y = _branch_values(g, 8, 5, 3)
        for p in (0.2, 0.5, 1.0):
            _identity(_path(f, y, p, False, mode, g), y, p)
        if not torch.equal(_path(f, y, 0.0, True, mode, g), y):
            not_yet("at p = 0 nothing is dropped and nothing scaled: return y.")
        nothing = _path(f, y, 1.0, True, mode, g)
        if nothing.isnan().any():
            not_yet("at p = 1 your output is NaN: 0 divided by 0. Everything is dropped there, so return zeros.")
        if nothing.any():
            swapped = SWAPPED if torch.allclose(nothing, y) else "At p = 1 everything is dropped."
            not_yet(f"{swapped} At p = 1 your output is not all zeros.")
    for mode in modes:
        for shape in ((60, 7), (60, 5, 4), (60, 3, 4, 2)):
            y = _branch_values(g, *shape)
            for p in (0.3, 0.5):
                out = _path(f, y, p, True, mode, g)
                kept = _kept_rows(out, y).bool()
                if kept.any():
                    _factor(out[kept].double() / y[kept].double(), p)
    _coins_of_rows(f, 0.3, g)
    _coin_of_the_batch(f, 0.3, g)
    for mode in modes:
        for _ in range(12):
            y = _branch_values(g, 6, 4).double().requires_grad_()
            out = _path(f, y, 0.5, True, mode, g)
            if not out.requires_grad:
                not_yet("no gradient flows from the output back to y. Detaching, .data or torch.no_grad() cut it.")
            out.sum().backward()
            if y.grad is None or not torch.allclose(y.grad, out.detach() / y.detach()):
                not_yet("the gradient must be mask / (1 - p): 0 for what was dropped, 1 / (1 - p) for what survived.")
    rows = torch.ones(300, 2)
    follows_generator(
        lambda seeded: f(rows, 0.5, training=True, mode="row", generator=seeded),
        lambda: f(rows, 0.5, training=True, mode="row", generator=None),
    )
    return "One coin a row, or one for all; the shortcut stays outside."


# ---- skipping_block


class _Branch:
    """A branch that works on each row alone and remembers how many rows it was called with."""

    __name__ = "f"

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, rows: Tensor) -> Tensor:
        self.rows.append(len(rows))
        if len(rows) == 0:
            not_yet(
                "f was called with an empty batch. When no sample survives, do not call it at all: many layers fail "
                "without rows."
            )
        return 3 * rows + 5


def _run(f: Answer, x: Tensor, p: float, training: bool, g: torch.Generator | None) -> tuple[Tensor, list[int]]:
    branch = _Branch()
    out = tensor(f(x, branch, p, training=training, generator=g), "the output")
    if out.shape != x.shape or out.dtype != x.dtype:
        not_yet(
            f"the output must have the shape and dtype of x, {tuple(x.shape)} and {x.dtype}; yours has "
            f"{tuple(out.shape)} and {out.dtype}."
        )
    return out, branch.rows


def _whole(f: Answer, x: Tensor, p: float, training: bool, g: torch.Generator) -> None:
    """Evaluation, and p = 0: the plain residual block."""
    out, rows = _run(f, x, p, training, g)
    when = "with training=False" if not training else "at p = 0"
    full = 3 * x + 5
    if torch.allclose(out, x + full, atol=1e-4):
        if rows != [len(x)]:
            not_yet(f"{when} f is called once with all {len(x)} rows; yours was called with {rows}.")
        return
    if torch.allclose(out, x + (1 - p) * full, atol=1e-4):
        not_yet(f"{when} you scale the branch by 1 - p. Training divides already, so here it is x + f(x).")
    if torch.allclose(out, x + full / (1 - p) if p < 1 else out + 1, atol=1e-4):
        not_yet(f"{when} you divide the branch by 1 - p. That belongs to training; here it is x + f(x).")
    not_yet(f"{when} the output must be x + f(x).")


def _step(f: Answer, x: Tensor, p: float, g: torch.Generator) -> int:
    """One training step: who survived, with which values, and what f was called with. Returns the survivors."""
    out, rows = _run(f, x, p, True, g)
    if ((out == 0).flatten(1).all(1)).any():
        not_yet(
            "a dropped sample came out as zeros: you dropped its shortcut, too. Only the branch is dropped; the sample "
            "itself passes."
        )
    kept = (out != x).flatten(1)
    if (kept.any(1) != kept.all(1)).any():
        not_yet("a sample gets the whole branch or nothing of it: one coin a sample, not one an entry.")
    kept = kept.any(1)
    survivors = int(kept.sum())
    if sum(rows) > survivors:
        not_yet(
            f"{survivors} of {len(x)} samples survived, and f was called with {sum(rows)} rows. Multiplying by zero "
            "afterwards saves nothing: throw the coins first, and give f the surviving rows only."
        )
    if len(rows) > 1:
        not_yet(
            f"f was called {len(rows)} times. Call it once, with all survivors together: that is faster, and a batch "
            "normalization inside needs them together."
        )
    if survivors:
        ratio = (out - x)[kept].double() / (3 * x + 5)[kept].double()
        alone = ((out - x)[kept] - (out - x)[kept][:1]).abs().max() < 1e-5
        together = torch.sort(((out - x)[kept] * (1 - p) - 5).double().flatten())[0]
        right = torch.sort((3 * x)[kept].double().flatten())[0]
        others = torch.sort((3 * x)[:survivors].double().flatten())[0]
        if not alone and (ratio - ratio.median()).abs().max() > 1e-3:
            if torch.allclose(together, right, atol=1e-3) or torch.allclose(together, others, atol=1e-3):
                not_yet(
                    "the rows of the branch were added to other samples than those that they came from. Index with "
                    "the same numbers when you take rows out and when you add the results."
                )
        _factor(ratio, p)
    return survivors


@exercise("ch07.skipping_block")
def skipping_block(answer: object, g: torch.Generator) -> str:
    """``skipping_block(x, f, p, training=True, generator=None)``: x + m f(x) / (1 - p), f called with survivors."""
    answer_ = function(answer)
    x = torch.randn(40, 6, generator=g).abs() + 1
    for p in (0.25, 0.5):
        _whole(answer_, x, p, False, g)
    _whole(answer_, x, 0.0, True, g)
    out, rows = _run(answer_, x, 1.0, True, g)
    if torch.isnan(out).any() or not torch.equal(out, x):
        if not out.any():
            not_yet(
                "at p = 1 your output is all zeros: you dropped the shortcut, too. Every sample must pass as it is."
            )
        not_yet("at p = 1 every branch is dropped, and the output must be x itself.")
    if rows:
        not_yet(f"at p = 1 nobody survives, and still f was called with {rows} rows. Do not compute what is dropped.")
    counts = []
    for shape in ((40, 6), (24, 3, 2, 2), (40, 6)):
        x = torch.randn(*shape, generator=g).abs() + 1
        counts += [_step(answer_, x, p, g) / len(x) for p in (0.5, 0.3)]
    if set(counts) <= {0.0, 1.0}:
        not_yet("all samples of a batch had the same fate: here each sample throws its own coin.")
    x = torch.ones(100, 1)
    shares = torch.tensor([_step(answer_, x, 0.3, g) / 100 for _ in range(120)], dtype=torch.float64)
    if off(lambda: shares, 0.7, math.sqrt(0.21 / 100)) is not None:
        got = float(shares.mean())
        told = f"At p = 0.3 a share of {got:.3f} survived; it should be 0.7."
        not_yet(f"{SWAPPED} {told}" if near(got, 0.3, tolerance=0.02) else f"the rate is off. {told}")
    ratio = float(shares.var()) / (0.21 / 100)
    if abs(ratio - 1) > 6 * math.sqrt(2 / len(shares)):
        not_yet(
            f"the coins are not independent: the number of survivors varies {ratio:.2f} times as much as with "
            "independent coins. Do not fix how many survive."
        )
    x = torch.ones(12, 3, dtype=torch.float64).requires_grad_()
    out, _ = _run(answer_, x, 0.5, True, g)
    out.sum().backward() if out.requires_grad else None
    if x.grad is None or not torch.allclose(x.grad, torch.where(out.detach() == 1, 1.0, 7.0).double()):
        not_yet("the gradient at x must be 1 through the shortcut, plus the branch's for survivors. Something cuts it.")
    many = torch.ones(300, 1)
    follows_generator(
        lambda seeded: answer_(many, _Branch(), 0.5, training=True, generator=seeded),
        lambda: answer_(many, _Branch(), 0.5, training=True, generator=None),
    )
    return "What is dropped is not computed."


# ---- last_rate


@exercise("ch07.last_rate")
def last_rate(answer: object, g: torch.Generator) -> str:
    """``last_rate(costs, saving)``: p_L of the paper's rule with sum c_l p_l = saving * sum c_l."""
    f = function(answer)
    cases = [([1.0] * 50, 0.2), ([4.0, 4.0, 2.0, 2.0, 1.0, 1.0], 0.2), ([1.0, 1.0, 2.0, 2.0, 8.0, 8.0], 0.2)]
    cases += [([float(integer(g, 1, 20)) for _ in range(integer(g, 4, 30))], uniform(g, 0.05, 0.3)) for _ in range(4)]
    for costs, saving in cases:
        count, total = len(costs), sum(costs)
        shares = [c * l / count for l, c in enumerate(costs, start=1)]
        want = saving * total / sum(shares)
        if want > 1:
            continue
        got = number(f(list(costs), saving), "the last rate")
        if near(got, want):
            continue
        done = got * sum(shares) / total
        few = f"{costs[:6]}{'...' if count > 6 else ''}"
        told = f"(For {count} blocks with costs {few}, saving {saving}, you gave {got:.5g}.)"
        if near(got, 1 - want):
            not_yet(f"that is the probability that the last block survives. Return the one of dropping it. {told}")
        if near(got, saving * 2 * count / (count + 1)):
            not_yet(
                f"you count blocks. They differ in cost, so weigh each block's rate with its cost: yours saves "
                f"{done:.1%} of the operations. {told}"
            )
        if near(got, saving):
            not_yet(
                f"that would be right if all blocks had this rate. It is the rate of the last one only, and yours "
                f"saves {done:.1%} of the operations. {told}"
            )
        from_zero = sum(c * l / count for l, c in enumerate(costs))
        if near(got, saving * total / from_zero):
            not_yet(f"the paper's rule counts the blocks from 1, so the last one has the rate p_L itself. {told}")
        if near(got, (1 - saving) * total / sum(shares)):
            not_yet(f"that leaves a share of {saving} of the operations. You are to save it. {told}")
        not_yet(
            f"the expected saving is the sum of cost times rate over the sum of costs; yours saves {done:.1%}. {told}"
        )
    hopeless = [8.0, 4.0, 1.0, 1.0]
    refused = f.error(list(hopeless), 0.6)
    if not isinstance(refused, ValueError):
        not_yet(
            f"for the costs {hopeless} no rate of the last block saves 0.6: even p_L = 1 saves less. Raise a "
            "ValueError when the rate would be above 1."
        )
    return "Operations, not blocks: a rate that saves a fifth of one network saves another share of the next."
