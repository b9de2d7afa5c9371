"""Chapter 03, inverted scaling: where the factor stands, what it keeps, and how old weights are converted."""

import math
from itertools import pairwise

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
    numbers,
    shown,
    tensor,
    uniform,
)
from companion.assignments.checks.coins import SWAPPED, follows_generator, independent_coins, kept_fraction

# ---- inverted_dropout


def _output(f: Answer, x: Tensor, p: float, training: bool, g: torch.Generator | None) -> Tensor:
    y = tensor(f(x, p, training=training, generator=g), "the output")
    if y.shape != x.shape:
        not_yet(f"the output must have the shape of x, {tuple(x.shape)}; yours has {tuple(y.shape)}.")
    if y.dtype != x.dtype:
        not_yet(f"the output must have the dtype of x: x is {x.dtype}, your output {y.dtype}.")
    if y.device != x.device:
        not_yet(f"the output must stand on the device of x: x is on {x.device}, your output on {y.device}.")
    return y


def _evaluation(f: Answer, x: Tensor, p: float, g: torch.Generator) -> None:
    y = _output(f, x, p, False, g).double()
    x, k = x.double(), 1 - p
    if torch.equal(y, x):
        return
    if torch.allclose(y, x * k):
        not_yet(
            f"at evaluation you multiply by 1 - p = {k:g}. That is the scheme of 2012; inverted dropout has paid in "
            "training and returns x unchanged."
        )
    if torch.allclose(y, x / k):
        not_yet("at evaluation you divide by 1 - p. The factor belongs to training; evaluation returns x unchanged.")
    if ((y == 0) & (x != 0)).any():
        not_yet("with training=False nothing may be dropped: return x unchanged.")
    not_yet(f"with training=False the output must be x itself; for p = {p:g} it was not.")


def _training(f: Answer, x: Tensor, p: float, g: torch.Generator) -> None:
    y, x, k = _output(f, x, p, True, g).double(), x.double(), 1 - p
    kept = y != 0
    ratio = y[kept] / x[kept]
    tolerance = 1e-5 if x.abs().max() < 1e3 else 1e-2
    if not kept.any():
        not_yet(f"at p = {p:g} everything was dropped.")
    if (ratio - 1 / k).abs().max() <= tolerance / k:
        return
    factor = float(ratio.median())
    told = f"(At p = {p:g} your survivors are {factor:.4g} times x; they should be 1/(1 - p) = {1 / k:.4g} times x.)"
    if (ratio - factor).abs().max() > 1e-4 * abs(factor):
        not_yet(f"the survivors are not all scaled by the same factor. {told}")
    hints = {
        k: "you multiply the survivors by 1 - p: they get smaller still. Divide, to make up for what was dropped.",
        1 / p: "you divide by p. What is left of x on average is 1 - p of it, so divide by that.",
        1.0: "nothing is scaled in training, so the next layer gets less than at evaluation.",
        1 / k**2: "the factor is applied twice.",
    }
    for value, hint in hints.items():
        if near(factor, value, tolerance=1e-4):
            not_yet(f"{hint} {told}")
    not_yet(f"the factor is off. {told}")


def _low_precision(f: Answer, g: torch.Generator) -> None:
    for dtype in (torch.float64, torch.bfloat16):
        x = torch.full((50, 40), 3.0, dtype=dtype)
        y = _output(f, x, 0.2, True, g).double()
        values = y.unique().tolist()
        if len(values) > 2 or not near(values[-1], 3.75, tolerance=1e-2):
            not_yet(f"in {dtype}, 3.0 at p = 0.2 must become 0 or 3.75, and yours became {shown(values[:4])}.")


def _gradient(f: Answer, g: torch.Generator) -> None:
    for p in (0.4, 1.0, 0.0):
        x = (torch.rand(300, dtype=torch.float64, generator=g) + 1).requires_grad_()
        y = _output(f, x, p, True, g)
        if not y.requires_grad:
            not_yet(
                f"at p = {p:g} no gradient flows from the output back to x. Detaching, .data or torch.no_grad() cut it."
            )
        y.sum().backward()
        if x.grad is None:
            not_yet(f"at p = {p:g} no gradient reaches x. Detaching, .data or torch.no_grad() cut it.")
        want = y.detach() / x.detach()
        if not torch.allclose(x.grad, want):
            told = f"At p = {p:g} the largest difference was {float((x.grad - want).abs().max()):.3g}."
            if not x.grad.isfinite().all():
                not_yet(f"the gradient holds a NaN or an infinity. {told}")
            not_yet(
                "the gradient must be mask / (1 - p): dropped inputs get 0, survivors the factor they were multiplied "
                f"with. {told}"
            )


@exercise("ch03.inverted_dropout")
def inverted_dropout(answer: object, g: torch.Generator) -> str:
    """``inverted_dropout(x, p, training=True, generator=None)``: m x / (1 - p) in training, x at evaluation."""
    f = function(answer)
    x = torch.randn(60, 50, generator=g)
    x = x + x.sign()
    for p in (0.2, 0.5):
        _evaluation(f, x, p, g)

    nothing = _output(f, x, 1.0, True, g)
    if nothing.isnan().any():
        not_yet("at p = 1 your output is NaN: 0 divided by 0. Everything is dropped there, so return zeros.")
    if nothing.any():
        if torch.equal(nothing, x):
            not_yet(SWAPPED + " At p = 1 your output is x.")
        not_yet("at p = 1 everything is dropped, and your output is not all zeros.")
    if not torch.equal(_output(f, x, 0.0, True, g), x):
        not_yet("at p = 0 nothing is dropped and nothing scaled: the output must be x.")

    wide = torch.ones(1000, 100)
    for shape in ((2000,), (40, 5, 4, 4)):
        _output(f, torch.ones(shape), 0.3, True, g)
    independent_coins((_output(f, wide, 0.5, True, g) != 0).double())
    kept_fraction(lambda: (_output(f, wide, 0.2, True, g) != 0).double(), 0.2)
    for p in (0.2, uniform(g, 0.3, 0.7)):
        _training(f, x, p, g)
    follows_generator(lambda seeded: f(wide, 0.5, generator=seeded), lambda: f(wide, 0.5))
    _low_precision(f, g)
    _gradient(f, g)
    return "Right in both modes, at both ends, and backwards."


# ---- scheme_table


@exercise("ch03.scheme_table")
def scheme_table(answer: object, g: torch.Generator) -> str:
    """``scheme_table(x, p)`` -> {"naive": (train, test), "vanilla": ..., "inverted": ...}, expectations."""
    f = function(answer)
    for p in (0.2, 0.5, 0.8, uniform(g, 0.1, 0.9), 0.0):
        x = uniform(g, 1.0, 9.0)
        table, k = f(x, p), 1 - p
        names = ("naive", "vanilla", "inverted")
        if not isinstance(table, dict) or set(table) != set(names):
            not_yet(f"return a dict with the keys 'naive', 'vanilla' and 'inverted'; it was {shown(table)}.")
        want = {"naive": (k * x, x), "vanilla": (k * x, k * x), "inverted": (x, x)}
        for name in names:
            got = numbers(table[name], 2, f"the entry of {name!r}")
            if all(map(near, got, want[name])):
                continue
            told = f"(For x = {x} and p = {p} you gave {shown(tuple(got))} for {name!r}.)"
            train, test = got
            if near(train, p * x):
                not_yet(f"{SWAPPED} {told}")
            if name == "naive" and near(test, k * x):
                not_yet(
                    f"the naive scheme does nothing at evaluation: x goes through as it is. That is its fault. {told}"
                )
            if name == "vanilla" and near(test, x):
                not_yet(f"the vanilla scheme of 2012 pays at evaluation: it multiplies by 1 - p there. {told}")
            if name == "inverted" and near(train, x / k):
                not_yet(f"x/(1 - p) is the value of a survivor. The mean also counts the dropped ones. {told}")
            if name == "inverted" and near(train, k * x):
                not_yet(f"the inverted scheme divides by 1 - p in training, and that restores the mean. {told}")
            not_yet(f"{name}: take the two outcomes of a coin, each times its probability, and add. {told}")
    return "Two of the three schemes agree with themselves, and one does not."


# ---- convert_checkpoint


def _forward_2012(layers: list, rates: list, x: Tensor) -> Tensor:
    """The test-time pass of 2012: what was dropped in training is multiplied by 1 - p."""
    for index, ((weight, bias), p) in enumerate(zip(layers, rates, strict=True)):
        x = torch.nn.functional.linear(x * (1 - p), weight, bias)
        if index < len(layers) - 1:
            x = x.relu()
    return x


@exercise("ch03.convert_checkpoint")
def convert_checkpoint(answer: object, g: torch.Generator) -> str:
    """``convert_checkpoint(layers, rates)``: weights times 1 - p of their input, biases as they are."""
    f = function(answer)
    cases = [[0.0, 0.5], [0.0, 0.5, 0.5], [0.2, 0.5, 0.4], [0.0, 0.0], [0.0, 1.0]]
    cases.append([0.0, *(uniform(g, 0.1, 0.8) for _ in range(integer(g, 1, 3)))])
    for rates in cases:
        widths = [integer(g, 3, 6) for _ in range(len(rates) + 1)]
        layers = [
            (
                torch.randn(out, inp, dtype=torch.float64, generator=g),
                torch.randn(out, dtype=torch.float64, generator=g),
            )
            for inp, out in pairwise(widths)
        ]
        converted = f(layers, rates)
        try:
            pairs = [(weight.double(), bias.double()) for weight, bias in converted]
            shapes = [(weight.shape, bias.shape) for weight, bias in pairs]
        except Exception:
            not_yet(f"return a list of pairs (weight, bias), like `layers`; it was {shown(converted)}.")
        if shapes != [(weight.shape, bias.shape) for weight, bias in layers]:
            not_yet("every weight and bias must keep its shape, in the same order.")
        x = torch.randn(20, widths[0], dtype=torch.float64, generator=g)
        want, got = _forward_2012(layers, rates, x), _forward_2012(pairs, [0.0] * len(rates), x)
        worst = float((got - want).abs().max())
        if worst <= 1e-6 * max(1.0, float(want.abs().max())):
            continue
        _wrong_conversion(layers, pairs, rates, f"(For the rates {rates} the outputs differ by up to {worst:.2g}.)")
    return "The new weights give the old outputs, with no factor left at evaluation."


def _wrong_conversion(layers: list, pairs: list, rates: list, told: str) -> None:
    def factor(new: Tensor, old: Tensor) -> float:
        ratio = new / old
        return float(ratio.median()) if (ratio - ratio.median()).abs().max() < 1e-9 else math.nan

    weights = [factor(new[0], old[0]) for new, old in zip(pairs, layers, strict=True)]
    biases = [factor(new[1], old[1]) for new, old in zip(pairs, layers, strict=True)]
    keeps = [1 - p for p in rates]
    if any(not near(value, 1.0) for value in biases):
        not_yet(f"biases stay as they are: a bias is added after the sum over the inputs and was never dropped. {told}")
    if all(map(near, weights, [1.0] * len(weights))):
        not_yet(
            f"the weights are the old ones: the factor 1 - p that evaluation used to apply must go into them. {told}"
        )
    if rates[0] == 0 and not near(weights[0], 1.0):
        if all(map(near, weights, [*keeps[1:], 1.0])):
            not_yet(
                f"you scale the layer that makes the units. Scale the one that reads them: that was dropped. {told}"
            )
        not_yet(f"the first layer reads the data, and here nothing was dropped there: its weights stay. {told}")
    if all(near(value, 1 / keep) for value, keep in zip(weights, keeps, strict=True) if keep):
        not_yet(f"you divide by 1 - p. In training the sums were smaller than without dropout: multiply. {told}")
    if all(map(near, weights, rates)) or all(near(value, p) for value, p in zip(weights, rates, strict=True) if p):
        not_yet(f"you multiply by p. What is kept is 1 - p. {told}")
    if all(near(value, keep**2) for value, keep in zip(weights, keeps, strict=True)):
        not_yet(f"the factor is applied twice: once is enough. {told}")
    not_yet(f"the weights of a layer are multiplied by 1 - p of the rate on its own input, and by nothing else. {told}")


# ---- second_moment


@exercise("ch03.second_moment")
def second_moment(answer: object, g: torch.Generator) -> str:
    """``second_moment(p)`` -> (c, factor on the mean) with E[(c m x)^2] = x^2."""
    f = function(answer)
    for p in (0.2, 0.5, 0.75, uniform(g, 0.05, 0.95), 0.0):
        c, mean = numbers(f(p), 2, "the answer")
        k = 1 - p
        told = f"(For p = {p} you gave {shown((c, mean))}.)"
        if near(c, 1 / math.sqrt(k)) and near(mean, math.sqrt(k)):
            continue
        if near(c, 1 / k):
            not_yet(f"1/(1 - p) keeps the mean. The mean of the square is then x^2/(1 - p), which is too large. {told}")
        if near(c, math.sqrt(k)):
            not_yet(f"c must make the survivors larger, since some of the square is lost: it is above 1. {told}")
        if near(c, 1 / math.sqrt(p) if p else math.nan):
            not_yet(f"{SWAPPED} {told}")
        if not near(c, 1 / math.sqrt(k)):
            not_yet(f"(c m x)^2 is c^2 x^2 with probability 1 - p and 0 otherwise: set its mean equal to x^2. {told}")
        if near(mean, 1.0):
            not_yet(f"c is right, but it does not keep the mean: take the mean of c m x with this c. {told}")
        if near(mean, c):
            not_yet(f"c is the factor on a survivor. The mean also counts the dropped ones. {told}")
        not_yet(f"c is right. The mean of c m x is c (1 - p) x: give the factor in front of x. {told}")
    refused = f.error(1.0)
    if not isinstance(refused, ValueError):
        told = "" if refused is None else f" It raised {type(refused).__name__}."
        not_yet(f"at p = 1 nothing is left, and no constant can bring it back: raise a ValueError there.{told}")
    number(f(0.5)[0], "c")
    return "The mean and the second moment cannot both be kept."
