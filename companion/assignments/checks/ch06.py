"""Chapter 06, DropConnect: patterns counted, coins for wires, two moments, and what two outputs give away."""

from collections.abc import Callable

import torch
from torch import Tensor

from companion.assignments.check import Answer, exercise, function, integer, near, not_yet, shown, tensor, uniform
from companion.assignments.checks.coins import SWAPPED, follows_generator, independent_coins, kept_fraction
from companion.ensembles import enumerate_masks
from companion.experiments.dropconnect import all_outputs
from companion.layers.dropconnect import expected_relu, gaussian_moments

# ---- count_masks


@exercise("ch06.count_masks")
def count_masks(answer: object, g: torch.Generator) -> str:
    """``count_masks(inputs, outputs)`` -> (2^inputs, 2^(inputs outputs)), two whole numbers."""
    f = function(answer)
    for n, m in ((3, 2), (4, 3), (20, 20), (5, 1), (1, 6), (integer(g, 3, 9), integer(g, 3, 9))):
        got = f(n, m)
        got = got.tolist() if isinstance(got, Tensor) else got
        told = f"(For {n} inputs and {m} outputs you gave {shown(got)}.)"
        if not isinstance(got, tuple | list) or len(got) != 2:
            not_yet(f"return two numbers, first for the inputs, then for the weights. {told}")
        if any(isinstance(value, bool) or not isinstance(value, int) for value in got):
            not_yet(f"these are counts, so return two ints: floats lose digits when numbers get long. {told}")
        neurons, wires = got
        if (neurons, wires) == (2**n, 2 ** (n * m)):
            continue
        if (neurons, wires) == (2 ** (n * m), 2**n):
            not_yet(
                f"the two numbers are in the wrong order: first the masks of the inputs, then of the weights. {told}"
            )
        if neurons != 2**n:
            _wrong_count(neurons, n, "inputs", told)
        if wires == 2 ** (n + m):
            not_yet(f"a wire leads from every input to every output: multiply the two numbers, do not add them. {told}")
        if wires == 2**n * m or wires == m * 2**n:
            not_yet(f"every output has wires of its own, and their patterns combine: the exponents add up. {told}")
        _wrong_count(wires, n * m, "weights", told)
    return "With one output the two numbers are the same."


def _wrong_count(got: int, coins: int, what: str, told: str) -> None:
    if got in (2 * coins, coins**2, coins):
        not_yet(f"each further coin doubles the number of patterns: 2 to the number of {what}. {told}")
    if got == 2**coins - 1:
        not_yet(f"the mask that drops all {what} counts too: the coins can fall like that. {told}")
    not_yet(f"one coin for each of the {what}, and two sides to every coin. {told}")


# ---- drop_connect


def _output(f: Answer, x: Tensor, weight: Tensor, bias: Tensor, p: float, training: bool, g: object) -> Tensor:
    y = tensor(f(x, weight, bias, p, training=training, generator=g), "the output")
    if y.shape != (len(x), len(weight)):
        not_yet(
            f"for {len(x)} examples and {len(weight)} outputs return the shape {(len(x), len(weight))}; the shape "
            f"was {tuple(y.shape)}."
        )
    if y.dtype != x.dtype:
        not_yet(f"the output must have the dtype of x: x is {x.dtype}, your output {y.dtype}.")
    return y


def _evaluates(f: Answer, g: torch.Generator) -> None:
    x, weight, bias = (torch.randn(shape, dtype=torch.float64, generator=g) for shape in ((6, 4), (3, 4), (3,)))
    for training, p in ((False, 0.4), (True, 0.0)):
        y, product, k = _output(f, x, weight, bias, p, training, g), x @ weight.T, 1 - p
        if torch.allclose(y, product + bias):
            continue
        if training:
            not_yet("at p = 0 nothing is dropped, and the output is that of the plain linear layer.")
        if torch.allclose(y, k * product + bias) or torch.allclose(y, k * (product + bias)):
            not_yet(
                "at evaluation you multiply by 1 - p. You have paid in training already: return the plain linear layer."
            )
        if torch.allclose(y, product):
            not_yet("at evaluation the bias is missing: the output is x @ weight.T + bias.")
        not_yet("with training=False nothing is dropped and nothing scaled: the output is x @ weight.T + bias.")


def _bias(f: Answer, g: torch.Generator) -> None:
    """With weights of zero only the bias is left."""
    bias = 1 + torch.rand(3, dtype=torch.float64, generator=g)
    x, weight = torch.randn(200, 4, dtype=torch.float64, generator=g), torch.zeros(3, 4, dtype=torch.float64)
    for p in (0.4, 1.0):
        y = _output(f, x, weight if p < 1 else weight + 1, bias, p, True, g)
        if torch.allclose(y, bias.expand_as(y)):
            continue
        if not y.isfinite().all():
            not_yet(f"at p = {p:g} the output is not finite: 0 divided by 0. There only the bias is left.")
        if p == 1:
            not_yet("at p = 1 all weights are gone: the output is the bias, for every example.")
        if torch.allclose(y, bias.expand_as(y) / (1 - p)):
            not_yet(
                "you scale the bias. It was never dropped, so divide the masked product and add the bias after that."
            )
        if (y == 0).all():
            not_yet("in training the bias is missing: it is added after the masked product.")
        if (y == 0).any():
            not_yet("you drop the bias as well. Here only weights are dropped.")
        not_yet("with weights of zero the output must be the bias, unscaled, for every example.")


def _masks(f: Answer, p: float, g: torch.Generator | None, count: int) -> Tensor:
    """The masks behind an output, Tensor[N, O, I]: weights of 1, 2, 4, 8 write them as binary numbers."""
    options = {"dtype": torch.float64}
    powers = 2.0 ** torch.arange(4, **options)
    weight = torch.stack([powers, powers.flip(0), powers])
    y, k = _output(f, torch.ones(count, 4, **options), weight, torch.zeros(3, **options), p, True, g), 1 - p
    for factor, hint in _FACTORS:
        number = (y / factor(p)).round()
        if torch.allclose(y, factor(p) * number, atol=1e-4) and 0 <= number.min() and number.max() <= 15:
            if hint and number.any():
                not_yet(
                    f"{hint} (At p = {p:g} the kept weights are {factor(p):.4g} times themselves; they should be "
                    f"1/(1 - p) = {1 / k:.4g} times.)"
                )
            bits = (number.long().unsqueeze(-1) >> torch.arange(4)) & 1
            bits[:, 1] = bits[:, 1].flip(-1)
            return bits.double()
    not_yet(
        f"at p = {p:g} the output is no sum of kept weights divided by 1 - p. Every weight is kept or dropped as a "
        "whole, and then meets the input of its own column."
    )


_FACTORS: list[tuple[Callable[[float], float], str]] = [
    (lambda p: 1 / (1 - p), ""),
    (
        lambda p: 1.0,
        "nothing is scaled in training, so the mean output is too small: divide the masked product by 1 - p.",
    ),
    (lambda p: 1 - p, "you multiply by 1 - p. What was dropped must be made up for: divide."),
    (lambda p: 1 / p, "you divide by p. What is left on average is 1 - p of the sum, so divide by that."),
    (lambda p: 1 / (1 - p) ** 2, "the factor is applied twice."),
]


def _who_shares(f: Answer, g: torch.Generator) -> None:
    m = _masks(f, 0.4375, g, 400)  # a rate whose factors are not mistaken for one another
    if (m == m[:1]).all():
        not_yet(
            "one mask serves the whole batch: every example lost the same weights. Each example throws its own "
            "coins, so the mask has three axes, (N, O, I)."
        )
    if (m == m[:, :1]).all():
        not_yet(
            "all outputs of an example lost the same inputs: that is dropout of the inputs. Each output throws its "
            "own coins, so the mask has three axes, (N, O, I)."
        )
    if (m == m[:, :, :1]).all():
        not_yet("all weights of an output share one coin: that drops whole outputs. Each weight throws its own.")


def _gradient(f: Answer, g: torch.Generator) -> None:
    x, weight, bias = (torch.rand(shape, dtype=torch.float64, generator=g) + 1 for shape in ((40, 1), (1, 1), (1,)))
    weight.requires_grad_()
    y = _output(f, x, weight, bias, 0.4, True, g)
    if not y.requires_grad:
        not_yet("no gradient flows from the output back to the weight. Detaching, .data or torch.no_grad() cut it.")
    (got,) = torch.autograd.grad(y.sum(), weight, allow_unused=True)
    want = (y.detach() - bias).sum() / weight.detach()
    if got is None or not torch.allclose(got, want):
        not_yet("the gradient of the weight must pass through the same mask and factor as the weight itself.")


@exercise("ch06.drop_connect")
def drop_connect(answer: object, g: torch.Generator) -> str:
    """``drop_connect(x, weight, bias, p, training, generator)``: a linear layer that drops weights for each example."""
    f = function(answer)
    _evaluates(f, g)
    _bias(f, g)
    _who_shares(f, g)
    p = 0.2
    kept_fraction(lambda: _masks(f, p, g, 2000), p)
    independent_coins(_masks(f, 0.5, g, 2000).flatten(1))
    follows_generator(lambda seeded: _masks(f, 0.5, seeded, 30), lambda: _masks(f, 0.5, None, 30))
    _gradient(f, g)
    for dtype in (torch.float32, torch.float64):
        _output(
            f, torch.ones(5, 3, dtype=dtype), torch.ones(2, 3, dtype=dtype), torch.ones(2, dtype=dtype), 0.3, True, g
        )
    return "Coins for every wire of every example, and the bias left alone."


# ---- moment_match_relu


def _normal_relu(mean: Tensor, deviation: Tensor) -> Tensor:
    return expected_relu(mean, deviation.square())


def _other_guesses(v: Tensor, weight: Tensor, p: float) -> list[tuple[Tensor, str]]:
    """Wrong guesses, each with the hint that it deserves."""
    k, product, squares = 1 - p, weight @ v, weight.square() @ v.square()
    mean, deviation = k * product, (p * k * squares).sqrt()
    first = mean * torch.special.ndtr(mean / deviation)
    bell = deviation * torch.exp(-(mean / deviation).square() / 2)
    return [
        (
            mean.relu(),
            "this is the ReLU of the mean, which is what the mean weights say. By Jensen the mean of the ReLU is "
            "larger: the spread must come in.",
        ),
        (
            _normal_relu(product, deviation),
            "the mean lacks its factor: each term is kept with probability 1 - p, so the mean is (1 - p) weight @ v.",
        ),
        (
            _normal_relu(product, (p / k * squares).sqrt()),
            "these are the moments of the scaled output u / (1 - p). Here nothing is divided.",
        ),
        (
            _normal_relu(mean, deviation.square()),
            "you use the variance where the formula wants the standard deviation: take the root.",
        ),
        (_normal_relu(mean, (k * squares).sqrt()), "the variance of a coin is p (1 - p): you took only 1 - p."),
        (_normal_relu(mean, (p * squares).sqrt()), "the variance of a coin is p (1 - p): you took only p."),
        (_normal_relu(p * product, deviation), f"{SWAPPED} The mean is (1 - p) weight @ v."),
        (first, "the second term is missing: sigma times the density at mu / sigma."),
        (first + bell, "the density lacks its factor 1 / sqrt(2 pi)."),
        (
            _normal_relu(mean, (p * k) ** 0.5 * product.abs()),
            "you add up the terms of an output and square the sum. Variances of independent terms add up: square each "
            "term, then sum.",
        ),
        (
            _normal_relu(mean, (p * k * (weight @ v.square())).sqrt()),
            "a variance holds squares, and here the weights are not squared.",
        ),
        (
            _normal_relu(mean, (p * k * (weight.square() @ v)).sqrt()),
            "a variance holds squares, and here the inputs are not squared.",
        ),
        (
            _exact(v, weight, p),
            "this is the exact mean over all masks. It takes 2 to the n of them; the point here is a guess from two "
            "moments, for layers of any size.",
        ),
    ]


def _exact(v: Tensor, weight: Tensor, p: float) -> Tensor:
    masks, chances = enumerate_masks(len(v), p)
    return chances @ (masks * v @ weight.T).relu()


@exercise("ch06.moment_match_relu")
def moment_match_relu(answer: object, g: torch.Generator) -> str:
    """``moment_match_relu(v, weight, p)`` -> guesses of the mean of ReLU((M * weight) @ v), Tensor[O]."""
    f = function(answer)
    worst = 0.0
    for p in (0.4, 0.2, 0.8, uniform(g, 0.1, 0.7)):
        n = integer(g, 6, 9)
        v = torch.randn(n, dtype=torch.float64, generator=g)
        weight = torch.randn(6, n, dtype=torch.float64, generator=g)
        weight[0] = weight[0].abs() * v.sign()  # an output that is surely positive, and one that is surely negative
        weight[1] = -weight[1].abs() * v.sign()
        mean, variance = gaussian_moments(v, weight, p=p)
        want = expected_relu((1 - p) * mean, (1 - p) ** 2 * variance)
        got = tensor(f(v, weight, p), "the answer").double()
        if got.shape != want.shape:
            not_yet(f"return one number an output, shape {tuple(want.shape)}; the shape was {tuple(got.shape)}.")
        exact = _exact(v, weight, p)
        if torch.allclose(got, want, rtol=1e-4, atol=1e-5):
            worst = max(worst, float((want - exact).abs().max()))
            continue
        told = f"(At p = {p:g} you gave {shown(got[2:])} for four outputs; all {2**n} masks say {shown(exact[2:])}.)"
        for value, hint in _other_guesses(v, weight, p):
            if torch.allclose(got, value, rtol=1e-4, atol=1e-5, equal_nan=True):
                not_yet(f"{hint} {told}")
        if got.isnan().any():
            not_yet(
                f"the root of a negative number: a variance holds squares, of the weights and of the inputs. {told}"
            )
        not_yet(f"the mean is (1 - p) weight @ v, the variance p (1 - p) times the sum of (w v)^2; put both in. {told}")
    _without_spread(f, g)
    return f"Two moments, no coin; the largest error against all masks was {worst:.2f}."


def _without_spread(f: Answer, g: torch.Generator) -> None:
    """Nothing varies at p = 0, for an input of zeros, and where the weights are zero."""
    v = torch.randn(5, dtype=torch.float64, generator=g)
    weight = torch.randn(4, 5, dtype=torch.float64, generator=g)
    blank = weight * torch.tensor([[1.0], [0.0], [1.0], [1.0]], dtype=torch.float64)
    cases = (
        ("at p = 0", v, weight, 0.0, (weight @ v).relu()),
        ("for an input of zeros", torch.zeros_like(v), weight, 0.5, torch.zeros(4, dtype=torch.float64)),
        ("at p = 1", v, weight, 1.0, torch.zeros(4, dtype=torch.float64)),
    )
    for when, inputs, matrix, p, want in cases:
        got = tensor(f(inputs, matrix, p), "the answer").double()
        if not got.isfinite().all():
            not_yet(f"{when} nothing varies, sigma is 0 and mu / sigma no number. The answer is the ReLU of the mean.")
        if not torch.allclose(got, want, rtol=1e-4, atol=1e-5):
            not_yet(
                f"{when} nothing varies, and the answer is the ReLU of the mean, {shown(want)}; yours was {shown(got)}."
            )
    got = tensor(f(v, blank, 0.5), "the answer").double()
    if not near(float(got[1]), 0.0):
        not_yet(f"an output whose weights are all zero has the mean ReLU 0; yours was {shown(got[1])}.")


# ---- tell_apart


@exercise("ch06.tell_apart")
def tell_apart(answer: object, g: torch.Generator) -> str:
    """``tell_apart(u)``: one number a draw, whose mean differs between dropout of inputs and DropConnect."""
    f = function(answer)

    def values(u: Tensor) -> Tensor:
        got = tensor(f(u), "the result")
        if got.shape != (len(u),):
            not_yet(
                f"for {len(u)} draws return {len(u)} numbers, shape ({len(u)},); the shape was {tuple(got.shape)}. The "
                "mean over the draws is taken by the check."
            )
        if not got.double().isfinite().all():
            not_yet("the numbers must be finite.")
        return got.double()

    u = torch.randn(60, 2, dtype=torch.float64, generator=g)
    alone = values(u)
    if not torch.equal(alone, values(u)):
        not_yet("two calls with the same draws give different numbers: no randomness of your own, please.")
    if not torch.allclose(alone[:7], values(u[:7])):
        not_yet(
            "the number of a draw changed when other draws were left out. It must be a function of the two outputs "
            "of its own draw: do not center, count or average over draws."
        )
    _not_a_sum(values, u, alone)
    largest = 0.0
    for p in (0.5, 0.2, uniform(g, 0.3, 0.8)):
        for _ in range(2):
            weight = torch.randn(2, 4, dtype=torch.float64, generator=g)
            v = torch.randn(4, dtype=torch.float64, generator=g)
            laws = [all_outputs(weight, v, p, kind) for kind in ("units", "weights")]
            means = [float(chances @ values(outputs)) for outputs, chances in laws]
            size = float(laws[1][1] @ values(laws[1][0]).abs())
            largest = max(largest, abs(means[0] - means[1]) / max(size, 1e-12))
    if largest < 1e-3:
        not_yet(
            "for six layers, all of their masks enumerated, the two means agree. Try a number that is large when "
            "both outputs are large together."
        )
    return f"The two means differ by up to {largest:.0%} of their size."


def _not_a_sum(values: Callable[[Tensor], Tensor], u: Tensor, alone: Tensor) -> None:
    """Refuses functions of one output, and sums of such: single outputs have the same law under both schemes."""
    mixed = torch.stack([u[:, 0], u[:, 1].roll(1)], 1)  # the first output of a draw with the second of another
    again = torch.stack([u[:, 0].roll(1), u[:, 1]], 1)
    if torch.allclose(alone, alone[:1].expand_as(alone)):
        not_yet("the number is the same for every draw, so its mean is the same under both schemes.")
    if torch.allclose(values(mixed), alone) or torch.allclose(values(again), alone):
        not_yet("the number depends on one output only, and a single output has the same law under both schemes.")
    # For a sum, f(a, b) + f(a', b') = f(a, b') + f(a', b).
    if torch.allclose(alone + alone.roll(1), values(mixed) + values(again)):
        not_yet(
            "the number is a sum of a function of the first output and a function of the second one. The mean of a "
            "sum is the sum of the means, and each of these is the same under both schemes."
        )
