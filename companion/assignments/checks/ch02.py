"""Chapter 02, masks: what is drawn, over which index, and with which probability."""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from companion.assignments.check import (
    Answer,
    exercise,
    function,
    functions,
    integer,
    near,
    not_yet,
    number,
    numbers,
    off,
    shown,
    tensor,
)
from companion.assignments.checks.coins import (
    SWAPPED,
    follows_generator,
    independent_coins,
    kept_fraction,
    zeros_for_uniforms,
)

# ---- mask_shape


def _mask_shape(shape: tuple[int, ...], kind: str) -> tuple[int, ...]:
    n, *rest = shape
    ones = (1,) * len(rest)
    return {
        "element": shape,
        "channel": (n, rest[0], *ones[1:]),
        "example": (n, *ones),
        "batch": (1, *rest),
    }[kind]


@exercise("ch02.mask_shape")
def mask_shape(answer: object, g: torch.Generator) -> str:
    """``mask_shape(shape, kind)``: the shape of the mask that broadcasts against x."""
    f = function(answer)
    for axes in (2, 4, 3):
        shape = (*(integer(g, 2, 9) for _ in range(axes)),)
        if len(set(shape[:2])) == 1:
            shape = (shape[0] + 1, *shape[1:])
        for kind in ("element", "example", "batch", "channel"):
            if kind == "channel" and axes == 2:
                continue  # a matrix of features has no channels
            got, want = f(shape, kind), _mask_shape(shape, kind)
            if not isinstance(got, tuple | list | torch.Size):
                not_yet(f"return a tuple of whole numbers; for {shape} and {kind!r} it was {shown(got)}.")
            got = tuple(got)
            if got == want:
                continue
            told = f"For {shape} and {kind!r} you gave {got}."
            if math.prod(got) == math.prod(want) and len(got) != len(shape):
                not_yet(
                    f"the number of coins is right, but this shape does not broadcast against x: an axis that shares "
                    f"its coin keeps its place with length 1. {told}"
                )
            if kind == "channel" and got[:1] == (1,):
                not_yet(f"this drops the same channels in every example: each example draws its own. {told}")
            if kind == "example" and got == _mask_shape(shape, "batch"):
                not_yet(f"example and batch are mixed up: one coin for each example drops whole examples. {told}")
            if kind == "batch" and got == _mask_shape(shape, "example"):
                not_yet(f"example and batch are mixed up: one mask for the batch is shared by all its examples. {told}")
            not_yet(f"ask how many coins are thrown: the length of an axis is 1 where its entries share a coin. {told}")
    return "The shape says what one coin decides about."


# ---- dropout_mask


def _mask_is_a_mask(f: Answer, x: Tensor, p: float, g: torch.Generator) -> Tensor:
    m = tensor(f(x, p, generator=g), "the mask")
    if m.shape != x.shape:
        not_yet(
            f"every element throws its own coin: for x of shape {tuple(x.shape)} the mask has that shape too, "
            f"and yours has {tuple(m.shape)}."
        )
    if m.device != x.device:
        not_yet(
            f"the mask must stand on the device of x: x is on {x.device}, your mask on {m.device}. "
            "Make it from x, for example with `x.new_empty(x.shape)`."
        )
    if m.dtype != x.dtype:
        not_yet(
            f"the mask must have the dtype of x: x is {x.dtype}, your mask {m.dtype}. Otherwise `mask * x` "
            "changes the dtype of the network."
        )
    if m.device.type != "meta":
        values = m.float().unique().tolist()
        if not set(values) <= {0.0, 1.0}:
            not_yet(
                f"a mask holds zeros and ones and nothing else; yours holds {shown(values[:4])}. Scaling comes in "
                "the next chapter."
            )
    return m


@exercise("ch02.dropout_mask")
def dropout_mask(answer: object, g: torch.Generator) -> str:
    """``dropout_mask(x, p, generator=None)``: one exact coin an element."""
    f = function(answer)
    x = torch.randn(64, 48, generator=g)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        _mask_is_a_mask(f, x.to(dtype), 0.3, g)

    # The boundaries, where there is nothing to draw.
    at_zero, at_one = (_mask_is_a_mask(f, x, p, g) for p in (0.0, 1.0))
    if not at_zero.any() and at_one.all():
        not_yet(SWAPPED + " At p = 0 your mask drops everything.")
    if not at_zero.all():
        not_yet("at p = 0 nothing may be dropped, and your mask holds a zero.")
    if at_one.any():
        not_yet("at p = 1 everything is dropped, and your mask holds a one.")
    for p, want in ((0.0, 1.0), (1.0, 0.0)):
        if (zeros_for_uniforms(lambda p=p: _mask_is_a_mask(f, x, p, g)) != want).any():
            not_yet(
                f"a uniform number can be exactly 0 (once in 16 million draws), and then your mask is wrong at "
                f"p = {p:g}: `rand > p` loses the tie. `rand >= p`, `rand < 1 - p` and bernoulli_ are exact there."
            )

    wide = torch.ones(1000, 100)
    independent_coins(_mask_is_a_mask(f, wide, 0.5, g))
    kept_fraction(lambda: _mask_is_a_mask(f, wide, 0.2, g), 0.2)
    follows_generator(lambda seeded: f(wide, 0.5, generator=seeded), lambda: f(wide, 0.5))

    # Low precision.
    p, many = 0.1, torch.ones(3_000_000, dtype=torch.bfloat16)
    got = off(lambda: tensor(f(many, p, generator=g), "the mask").float(), 1 - p, math.sqrt(p * (1 - p)))
    if got is not None:
        not_yet(
            f"in bfloat16 you keep {got:.4f} instead of {1 - p}: a 16-bit number cannot hold {1 - p} exactly. Draw "
            "with `bernoulli_(1 - p)`, or compare uniforms of 32 bits or more."
        )
    _follows_device(f)
    return "Exact at both ends and in 16 bits, and it follows the generator."


def _follows_device(f: Answer) -> None:
    for device in ("meta", *(["cuda"] if torch.cuda.is_available() else [])):
        try:  # without a generator, which belongs to one device; without the watch, which makes torch's imports slow
            m = f.function(torch.empty(3, 2, device=device), 0.3)
        except Exception:
            continue  # a meta tensor holds no data, and a right answer may look at its values
        if not isinstance(m, Tensor) or m.device.type != device:
            not_yet(
                "the mask must stand on the device of x, and yours is always on the CPU. Make it from x, for "
                "example with `x.new_empty(x.shape)`."
            )


# ---- masked_sum


def _sum_moments(x: Tensor, p: float) -> tuple[float, float]:
    x = x.double()
    return float((1 - p) * x.sum()), float((p * (1 - p) * x.square().sum()).sqrt())


@exercise("ch02.masked_sum")
def masked_sum(answer: object, g: torch.Generator) -> str:
    """``{"enumeration": f, "formula": f}``, each ``f(x, p)`` -> (mean, standard deviation) of the masked sum."""
    for way, f in zip(("enumeration", "formula"), functions(answer, "enumeration", "formula"), strict=True):
        for p in (0.2, 0.5, 0.75, 0.0, 1.0):
            n = integer(g, 5, 8) if way == "enumeration" or p < 0.6 else 1000
            x = torch.randn(n, generator=g).mul_(3).add_(1)
            mean, deviation = numbers(f(x, p), 2, f"what {f.name} returns")
            _judge_moments(way, x, p, mean, deviation)
    return "Both ways agree; only one of them still works for a thousand units."


def _judge_moments(way: str, x: Tensor, p: float, mean: float, deviation: float) -> None:
    want_mean, want_deviation = _sum_moments(x, p)
    right = near(mean, want_mean, tolerance=1e-4), near(deviation, want_deviation, tolerance=1e-4)
    if all(right):
        return
    k, total = 1 - p, float(x.double().sum())
    told = f"(By {way}, for n = {len(x)} and p = {p}, you gave mean {mean:.4g} and standard deviation {deviation:.4g}.)"
    if near(mean, total, tolerance=1e-4):
        not_yet(
            f"this is the inverted scheme, in which the survivors are divided by 1 - p. Here nothing is scaled, so the "
            f"mean shrinks. {told}"
        )
    if near(mean, p * total, tolerance=1e-4):
        not_yet(f"{SWAPPED} The mean is (1 - p) times the sum. {told}")
    if way == "enumeration" and not right[0] and near(mean, total / 2, tolerance=1e-4):
        not_yet(
            f"you count every mask alike, which is right at p = 0.5 only. A mask that keeps a of n units has the "
            f"probability (1 - p)^a p^(n - a). {told}"
        )
    if near(deviation, math.sqrt(p * k) * float(x.double().abs().sum()), tolerance=1e-4):
        not_yet(
            f"standard deviations of independent terms do not add: their variances do. Add the squares of the x, "
            f"then take one root. {told}"
        )
    if near(deviation, want_deviation**2, tolerance=1e-4):
        not_yet(f"that is the variance: the standard deviation is its square root. {told}")
    if p < 1 and near(deviation, want_deviation / k, tolerance=1e-4):
        not_yet(
            f"this is the spread of the inverted scheme, (p/k) times the sum of squares under the root. Without "
            f"scaling it is p k. {told}"
        )
    if not right[0]:
        not_yet(f"the mean is off: average m_1 x_1 + ... + m_n x_n over the masks, each with its probability. {told}")
    not_yet(
        f"the standard deviation is off: one coin has the variance p (1 - p), and variances of independent terms "
        f"add. {told}"
    )


# ---- keep_or_drop


class _Box:
    """A masking function whose number means the probability of keeping, or of dropping."""

    def __init__(self, number_keeps: bool, scaled: bool, g: torch.Generator) -> None:
        self._number_keeps, self._scaled, self._g = number_keeps, scaled, g

    def __call__(self, x: Tensor, number: float) -> Tensor:
        keep = float(number) if self._number_keeps else 1 - float(number)
        if not 0 <= keep <= 1:
            raise ValueError(f"number must be in [0, 1], got {number}")
        y = x * torch.empty(x.shape).bernoulli_(keep, generator=self._g).to(x)
        return y / keep if self._scaled and keep > 0 else y


def black_boxes(g: torch.Generator | None = None) -> list[tuple[Callable[[Tensor, float], Tensor], str]]:
    """Returns the four kinds of box with the right answer to each, in an order drawn from ``g``.

    Each is called as ``box(x, number)`` and masks the elements of x; ``number`` is its probability of keeping or its
    probability of dropping, and nothing about the box says which.
    """
    g = torch.Generator().manual_seed(0) if g is None else g
    kinds = list(itertools.product((True, False), (True, False)))
    order = torch.randperm(len(kinds), generator=g).tolist()
    return [(_Box(*kinds[i], g), "keep" if kinds[i][0] else "drop") for i in order]


@exercise("ch02.keep_or_drop")
def keep_or_drop(answer: object, g: torch.Generator) -> str:
    """``keep_or_drop(box)`` -> ``"keep"`` or ``"drop"``."""
    f = function(answer)
    for _ in range(10):
        boxes = black_boxes(g)
        verdicts = [f(box) for box, _ in boxes]
        for got in verdicts:
            if got not in ("keep", "drop"):
                not_yet(f"return 'keep' or 'drop'; it was {shown(got)}.")
        wrong = [i for i, (_, want) in enumerate(boxes) if verdicts[i] != want]
        if not wrong:
            continue
        box, want = boxes[wrong[0]]
        told = f"A box whose number means {want} was called {verdicts[wrong[0]]!r}."
        if len({f(box) for _ in range(20)}) == 2:
            not_yet(
                f"asked twenty more times about the same box, you said both: the verdict hangs on luck. Use many "
                f"elements, and a number far from 0.5. {told}"
            )
        if len(wrong) == len(boxes):
            not_yet(
                f"all boxes are called by the wrong name. With the number 0.2 and many ones, 20 % zeros mean that the "
                f"number is the probability of dropping, 80 % that it is the probability of keeping. {told}"
            )
        if len(set(verdicts)) == 1:
            not_yet(f"you call every box the same. Try the box: give it ones, and count the zeros. {told}")
        not_yet(
            "boxes that scale their survivors mislead you: their mean says nothing about how many there are. Count the "
            f"zeros. {told}"
        )
    return "Forty boxes, no mistake. Count before you port a paper."


# ---- exact_mask and exact_covariance


@exercise("ch02.exact_mask")
def exact_mask(answer: object, g: torch.Generator) -> str:
    """``exact_mask(n, kept, generator=None)``: a mask of n units of which exactly ``kept`` are 1."""
    f = function(answer)
    n = integer(g, 6, 9)
    for kept in (n // 2, 0, n):
        for _ in range(20):
            m = tensor(f(n, kept, generator=g), "the mask")
            if m.shape != (n,):
                not_yet(f"the mask must have the shape ({n},); it was {tuple(m.shape)}.")
            if not set(m.double().tolist()) <= {0.0, 1.0}:
                not_yet(f"a mask holds zeros and ones; it was {shown(m)}.")
            if int(m.sum()) != kept:
                not_yet(
                    f"{kept} of {n} units must stay, every time, and this mask keeps {int(m.sum())}. Independent "
                    "coins cannot promise a number: choose which units stay."
                )
    kept, rounds = n // 2, 4000
    masks = torch.stack([f(n, kept, generator=g).double() for _ in range(rounds)])
    k = kept / n
    worst = float((masks.mean(0) - k).abs().max()) / math.sqrt(k * (1 - k) / rounds)
    if worst > 5:  # the largest of up to 9 deviations: P(> 5 s.e.) is below 1e-5
        not_yet(
            f"some units stay more often than others (kept {shown([round(v, 2) for v in masks.mean(0).tolist()])} of "
            "the time). Every unit must have the same chance: shuffle all of them, evenly."
        )
    products = masks.T @ masks / rounds
    pair = kept * (kept - 1) / (n * (n - 1))
    worst = float((products - pair).fill_diagonal_(0).abs().max()) / math.sqrt(pair * (1 - pair) / rounds)
    if worst > 5.5:
        not_yet(
            "every unit has the right chance, but some pairs stay together more often than others: all choices of "
            f"{kept} units must be equally likely."
        )
    again = [f(n, kept, generator=torch.Generator().manual_seed(5)) for _ in range(2)]
    if not torch.equal(*again):
        not_yet("the same generator must give the same mask: hand `generator=generator` on to the function that draws.")
    return "Exactly as many as asked, each choice equally likely."


@exercise("ch02.exact_covariance")
def exact_covariance(answer: object, g: torch.Generator) -> str:
    """``exact_covariance(n, kept)``: the covariance of two entries of the exact mask, -p k / (n - 1)."""
    f = function(answer)
    cases = [(2, 1), (6, 3), (10, 8), (7, 0), (7, 7)]
    cases += [(n, integer(g, 1, n - 1)) for n in (integer(g, 4, 60) for _ in range(5))]
    for n, kept in cases:
        k = kept / n
        got, want = number(f(n, kept), "the covariance"), -(1 - k) * k / (n - 1)
        if near(got, want, tolerance=1e-7):
            continue
        told = f"(For n = {n} and {kept} kept you gave {got:.4g}.)"
        if got == 0:
            not_yet(
                f"the entries are not independent: when one unit stays, one place fewer is left for the others. {told}"
            )
        if near(got, -want, tolerance=1e-7):
            not_yet(
                f"the size is right, the sign is not: a unit that stays makes it less likely that another does. {told}"
            )
        if near(got, -(1 - k) * k / n, tolerance=1e-7):
            not_yet(
                f"close: a unit shares its fate with the n - 1 others, not with n. Use that the sum of all entries is "
                f"fixed, so its variance is 0. {told}"
            )
        if near(got, want / (k * (1 - k)) if 0 < k < 1 else math.nan, tolerance=1e-7):
            not_yet(f"that is the correlation: multiply by the variance of one entry. {told}")
        not_yet(f"write Var(m_1 + ... + m_n) = 0 as n variances plus n (n - 1) covariances, and solve. {told}")
    return "Drawing without replacement ties the units together, a little less with every unit more."
