"""Chapter 13, transformers and RNNs: coins in the right place, one a sequence, in training only, and on every rank."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from companion.assignments.check import (
    Answer,
    exercise,
    function,
    integer,
    near,
    not_yet,
    off,
    tensor,
)
from companion.assignments.checks.coins import SWAPPED, follows_generator

# ---- residual_step


class _Part:
    """One of the given functions: computes ``map`` and remembers how often it was called."""

    def __init__(self, name: str, map: Callable[[Tensor], Tensor]) -> None:
        self.__name__, self.map, self.calls = name, map, 0

    def __call__(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.map(x)


@exercise("ch13.residual_step")
def residual_step(answer: object, g: torch.Generator) -> str:
    """``residual_step(x, norm, f, drop)``: x + drop(f(norm(x)))."""
    step = function(answer)
    for shape in ((3, 4), (2, 5, 6)):
        x = torch.randn(*shape, generator=g)
        mask = (torch.rand(shape, generator=g) < 0.5).float()
        weight = torch.randn(shape[-1], shape[-1], generator=g)
        norm = _Part("norm", lambda y: (y - y.mean(-1, keepdim=True)) / (y.std(-1, keepdim=True) + 1))
        f = _Part("f", lambda y, weight=weight: (y @ weight + 0.3).tanh())
        drop = _Part("drop", lambda y, mask=mask: 2 * mask * y)
        out = tensor(step(x, norm, f, drop), "the output")
        if out.shape != x.shape:
            not_yet(f"the output must have the shape of x, {tuple(x.shape)}; yours has {tuple(out.shape)}.")
        n, b, d = norm.map, f.map, drop.map
        hints = {
            "the coins fall behind the addition: they drop the shortcut as well, and each further "
            "block drops it again. "
            "Drop what the branch puts out, then add.": d(x + b(n(x))),
            "you drop the shortcut and keep the branch. It is the branch that is to be dropped.": d(x) + b(n(x)),
            "you drop what the branch reads. Residual dropout acts on what it puts out, right before the addition.": [
                x + b(d(n(x))),
                x + b(n(d(x))),
            ],
            "the branch is never dropped: drop is not used on what f puts out.": x + b(n(x)),
            "the norm stands behind the addition. Here it belongs inside the branch, in front of f.": [
                n(x + d(b(x))),
                x + n(d(b(x))),
                x + d(n(b(x))),
            ],
            "f gets x as it is; normalize it first.": x + d(b(x)),
            "nothing goes around the branch: add x itself, the shortcut.": d(b(n(x))),
            "the shortcut is normalized. It carries x as it is.": n(x) + d(b(n(x))),
        }
        if not torch.allclose(out, x + d(b(n(x))), atol=1e-5):
            for hint, outputs in hints.items():
                if any(
                    torch.allclose(out, wrong, atol=1e-5)
                    for wrong in (outputs if isinstance(outputs, list) else [outputs])
                ):
                    not_yet(hint)
            not_yet("the output is not x plus what is left of the branch. Normalize, f, drop, and add the result to x.")
        for part in (norm, f, drop):
            if part.calls != 1:
                not_yet(f"{part.__name__} was called {part.calls} times; once is enough, and costs a third.")
    return "Drop, then add: the shortcut meets no coin."


# ---- locked_dropout


def _locked(f: Answer, x: Tensor, p: float, training: bool, axis: int, g: torch.Generator | None) -> Tensor:
    out = tensor(f(x, p, training=training, time_axis=axis, generator=g), "the output")
    if out.shape != x.shape:
        not_yet(f"the output must have the shape of x, {tuple(x.shape)}; yours has {tuple(out.shape)}.")
    if out.dtype != x.dtype:
        not_yet(f"the output must have the dtype of x: x is {x.dtype}, your output {out.dtype}.")
    return out


def _sequences(g: torch.Generator, n: int, steps: int, features: int, axis: int) -> Tensor:
    x = torch.randn(n, steps, features, generator=g)
    x = x + x.sign()  # no zeros, so that a zero in the output was dropped
    return x if axis == 1 else x.transpose(0, 1).contiguous()


def _shared(kept: Tensor, axis: int) -> None:
    """Refuses masks (sequences, steps, features) whose coins are shared by others than the steps of a sequence."""
    if (kept != kept[:, :1]).any():
        if axis == 0 and not (kept != kept[:1]).any():
            not_yet(
                "with time_axis=0 your mask is shared by the sequences and drawn anew at each step. "
                "There the first axis is "
                "the time: the axis of the mask with length 1 is time_axis."
            )
        if not (kept != kept[:1]).any():
            not_yet(
                "all sequences share one mask, and each step draws a new one. It must be the other way round: one mask "
                "a sequence, for all of its steps."
            )
        not_yet(
            "the mask changes from step to step. Draw it once for a sequence: its shape is that of x "
            "with length 1 along "
            "time_axis."
        )
    first = kept[:, 0]
    if (first == first[:1]).all():
        not_yet("all sequences of the batch got the same mask. Each sequence throws coins of its own.")
    if (first == first[:, :1]).all():
        not_yet("all features of a sequence share one coin, so that whole sequences are dropped. One coin a feature.")


@exercise("ch13.locked_dropout")
def locked_dropout(answer: object, g: torch.Generator) -> str:
    """``locked_dropout(x, p, training=True, time_axis=1, generator=None)``: one coin a feature of a sequence."""
    f = function(answer)
    for axis in (1, 0):
        x = _sequences(g, 6, 5, 4, axis)
        for p in (0.2, 0.5, 1.0):
            out = _locked(f, x, p, False, axis, g)
            if not torch.equal(out, x):
                not_yet("with training=False nothing is dropped and nothing is scaled: return x unchanged.")
        if not torch.equal(_locked(f, x, 0.0, True, axis, g), x):
            not_yet("at p = 0 nothing is dropped and nothing is scaled: return x.")
        nothing = _locked(f, x, 1.0, True, axis, g)
        if nothing.isnan().any():
            not_yet("at p = 1 your output is NaN: 0 divided by 0. Everything is dropped there, so return zeros.")
        if nothing.any():
            not_yet(
                f"{SWAPPED if torch.allclose(nothing, x) else 'At p = 1 everything is dropped.'} "
                f"Yours is not all zeros."
            )
    for axis in (1, 0):
        for p in (0.3, 0.5):
            x = _sequences(g, 30, 7, 20, axis)
            out = _locked(f, x, p, True, axis, g)
            kept = (out != 0) if axis == 1 else (out != 0).transpose(0, 1)
            _shared(kept, axis)
            ratio = (out / x)[out != 0].double()
            factor = float(ratio.median())
            told = (
                f"(At p = {p:g} your survivors are {factor:.4g} times the input; they should be {1 / (1 - p):.4g} "
                "times.)"
            )
            if (ratio - 1 / (1 - p)).abs().max() > 1e-4:
                if near(factor, 1, tolerance=1e-3):
                    not_yet(f"nothing is scaled in training. Divide what survives by 1 - p. {told}")
                if near(factor, 1 - p, tolerance=1e-3):
                    not_yet(f"you multiply the survivors by 1 - p. Divide. {told}")
                if near(factor, (1 - p) ** -7, tolerance=1e-3):
                    not_yet(f"the factor is applied once for every step and compounds. Once is enough. {told}")
                not_yet(f"the survivors are not scaled by 1 / (1 - p). {told}")
    p = 0.3
    share = off(
        lambda: (_locked(f, torch.ones(200, 2, 60), p, True, 1, g)[:, 0] != 0).double(), 1 - p, math.sqrt(p * (1 - p))
    )
    if share is not None:
        if near(share, p, tolerance=0.03):
            not_yet(f"{SWAPPED} At p = {p} you kept {share:.3f} of the features.")
        not_yet(f"at p = {p} a share of {1 - p} of the features should stay, and {share:.3f} of yours did.")
    x = _sequences(g, 5, 4, 3, 1).double().requires_grad_()
    out = _locked(f, x, 0.5, True, 1, g)
    if not out.requires_grad:
        not_yet("no gradient flows from the output back to x. Detaching, .data or torch.no_grad() cut it.")
    out.sum().backward()
    if x.grad is None or not torch.allclose(x.grad, out.detach() / x.detach()):
        not_yet("the gradient must be mask / (1 - p).")
    ones = torch.ones(40, 3, 30)
    follows_generator(
        lambda seeded: f(ones, 0.5, training=True, time_axis=1, generator=seeded),
        lambda: f(ones, 0.5, training=True, time_axis=1, generator=None),
    )
    return "One coin a feature and sequence, whatever the order of the axes."


# ---- attention


def _reference(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v


def _module(make: Answer, p: float) -> nn.Module:
    net = make(p)
    if not isinstance(net, nn.Module):
        not_yet("give check() the class itself: Attention(p) must be a torch.nn.Module.")
    return net


def _attended(make: Answer, net: nn.Module, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = tensor(Answer(net, make.allow)(q, k, v), "the output")
    shape = (*q.shape[:-1], v.shape[-1])
    if out.shape != shape:
        not_yet(f"the output must have the shape of q with the last axis of v, {shape}; yours has {tuple(out.shape)}.")
    return out


@exercise("ch13.attention")
def attention(answer: object, g: torch.Generator) -> str:
    """``Attention(p)``: drops attention weights in training, and nothing in evaluation mode."""
    make = function(answer)
    for p in (0.5, 0.2):
        net = _module(make, p).eval()
        q, k, v = (torch.randn(2, 3, n, 4, generator=g) for n in (5, 7, 7))
        out, again, want = _attended(make, net, q, k, v), _attended(make, net, q, k, v), _reference(q, k, v)
        if not torch.equal(out, again):
            not_yet(
                "in evaluation mode two calls with the same input differ: something is still "
                "dropped. Give the function the "
                "rate only when self.training is true, and decide that at each call."
            )
        if not torch.allclose(out, want, atol=1e-5):
            if torch.allclose(out, (q @ k.mT).softmax(-1) @ v, atol=1e-5):
                not_yet("the scores are not divided by the square root of d, the length of a query.")
            if torch.allclose(out, (1 - p) * want, atol=1e-5):
                not_yet("in evaluation mode you scale by 1 - p. Training divides already: here nothing is scaled.")
            not_yet("in evaluation mode the output must be softmax(q kᵀ / sqrt(d)) v.")
        if not torch.allclose(_attended(make, _module(make, 0.0).train(), q, k, v), want, atol=1e-5):
            not_yet("at p = 0 training and evaluation are the same: softmax(q kᵀ / sqrt(d)) v.")
        # With the identity for values, the output is the weights themselves.
        net.train()
        q, k = (torch.randn(8, 3, 40, 40, generator=g) for _ in range(2))
        v = torch.eye(40).expand(8, 3, 40, 40)
        weights = _reference(q, k, v)
        seen = _attended(make, net, q, k, v)
        zero = seen == 0
        sums = seen.sum(-1)
        if not zero.any():
            if torch.allclose(seen, weights, atol=1e-5):
                not_yet("in training mode nothing is dropped: net.train() must switch it on, at each call.")
            not_yet("in training mode no weight is zero. Drop weights, behind the softmax; a score of 0 is a score.")
        if (zero == zero[..., :1, :]).all():
            not_yet("a position is dropped for all queries at once: you drop keys or values. Drop single weights.")
        if (zero == zero[..., :1]).all():
            not_yet("all weights of a query are dropped together: you drop rows. Drop single weights.")
        if torch.allclose(sums, torch.ones_like(sums), atol=1e-4):
            not_yet(
                "the rows are normalized again after dropout. Divide by 1 - p instead, which does "
                "not depend on the draw."
            )
        ratio = float((seen / weights)[~zero].median())
        if not near(ratio, 1 / (1 - p), tolerance=1e-3):
            if near(ratio, 1, tolerance=1e-3):
                not_yet(f"the survivors are not scaled. At p = {p:g} they should be {1 / (1 - p):.3g} times as large.")
            not_yet(
                f"at p = {p:g} the survivors should be {1 / (1 - p):.3g} times as large; yours are {ratio:.3g} times."
            )
        if not torch.allclose(seen[~zero], weights[~zero] / (1 - p), atol=1e-5):
            not_yet("the survivors are not all scaled by 1 / (1 - p).")
        share = off(
            lambda q=q, k=k, v=v, net=net: (_attended(make, net, q, k, v) == 0).double(), p, math.sqrt(p * (1 - p))
        )
        if share is not None:
            not_yet(f"at p = {p:g} a share of {p:g} of the weights should fall, and {share:.3f} of yours did.")
        if torch.equal(seen, _attended(make, net, q, k, v)):
            not_yet("in training mode two calls give the same: every call must draw a new mask.")
        net.eval()
        if not torch.allclose(_attended(make, net, q, k, v), weights, atol=1e-5):
            not_yet("after train() and then eval() something is still dropped. Read self.training at each call.")
    q = torch.randn(1, 1, 3, 4, generator=g).requires_grad_()
    out = _attended(make, _module(make, 0.5).train(), q, q, q)
    if not out.requires_grad:
        not_yet("no gradient flows from the output back to q. Detaching, .data or torch.no_grad() cut it.")
    return "In training it drops; after eval() it is the same function every time."


# ---- start


def _run(f: Answer, rank: int, seed: int, size: int, junk: int) -> tuple[Tensor, Tensor]:
    """Initial weights of a rank and its first mask; what was drawn before is another thing each time."""
    torch.manual_seed(junk)
    made: list[Tensor] = []

    def build() -> nn.Module:
        made.append(torch.empty(0))
        return nn.Linear(size, 3)

    net = f(rank, seed, build)
    if not isinstance(net, nn.Linear):
        not_yet("start must return the network that build() made.")
    if len(made) != 1:
        not_yet(f"build() was called {len(made)} times; once is enough.")
    return net.weight.detach().clone(), torch.rand(200) < 0.5


@exercise("ch13.start")
def start(answer: object, g: torch.Generator) -> str:
    """``start(rank, seed, build)``: the same weights on all ranks, masks of their own, and all that again."""
    f = function(answer)
    ranks, size = integer(g, 5, 8), integer(g, 6, 12)
    seeds = sorted({0, 1, 2, integer(g, 3, 500), integer(g, 501, 1000)})
    junk = lambda: integer(g, 10**6, 10**9)  # noqa: E731
    runs = {seed: [_run(f, rank, seed, size, junk()) for rank in range(ranks)] for seed in seeds}
    for seed, found in runs.items():
        again = [_run(f, rank, seed, size, junk()) for rank in range(ranks)]
        weights = [torch.equal(a[0], b[0]) for a, b in zip(found, again, strict=True)]
        masks = [torch.equal(a[1], b[1]) for a, b in zip(found, again, strict=True)]
        if not all(weights):
            if weights[0]:
                not_yet(
                    "only rank 0 starts with the same weights again: every rank is a process of its "
                    "own and must seed itself."
                )
            not_yet(
                "started again with the same rank and seed, the weights differ: they depend on what was drawn before. "
                "Seed before build()."
            )
        if not all(masks):
            if masks[0]:
                not_yet("only rank 0 draws the same masks again. Every rank must seed its own random numbers.")
            not_yet("started again with the same rank and seed, the masks differ. Seed once more, after build().")
        if any(not torch.equal(a[0], found[0][0]) for a in found):
            not_yet(
                "the ranks begin with different weights. What seeds build() must not depend on the "
                "rank; what seeds the masks "
                "must."
            )
        if all(torch.equal(a[1], found[0][1]) for a in found):
            not_yet(
                "all ranks draw the same masks: one seed for everything. After build(), seed again with the rank in it."
            )
        if any(torch.equal(found[a][1], found[b][1]) for a in range(ranks) for b in range(a)):
            not_yet("two ranks of a run draw the same masks. Every rank needs a seed of its own.")
    for one in seeds:
        for other in seeds:
            if one >= other:
                continue
            if torch.equal(runs[one][0][0], runs[other][0][0]):
                not_yet(f"the seeds {one} and {other} give the same initial weights: use the seed.")
            for a in range(ranks):
                for b in range(ranks):
                    if torch.equal(runs[one][a][1], runs[other][b][1]):
                        not_yet(
                            f"rank {a} of the run with seed {one} draws the masks of rank {b} with "
                            f"seed {other}. The number that "
                            "seeds the masks must belong to one pair of seed and rank only."
                        )
    last, first = _run(f, 63, 4, size, junk())[1], _run(f, 0, 5, size, junk())[1]
    if torch.equal(last, first):
        not_yet("rank 63 of the run with seed 4 draws the masks of rank 0 with seed 5: leave room for 64 ranks.")
    return "One network, many masks, and the same again tomorrow."
