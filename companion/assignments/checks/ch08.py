"""Chapter 08, DropBlock: how often seeds fire, whole blocks and their scale, a growing rate, an exact mean."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.assignments.check import (
    Answer,
    NotYet,
    exercise,
    function,
    integer,
    near,
    not_yet,
    number,
    tensor,
    uniform,
)
from companion.assignments.checks.coins import SWAPPED, follows_generator

# ---- what blocks do, said once


def _gamma(height: int, width: int, p: float, k: int) -> float:
    high, wide = min(k, height), min(k, width)
    return p * height * width / (high * wide * (height - high + 1) * (width - wide + 1))


def _places_over(height: int, width: int, k: int) -> Tensor:
    """How many whole blocks cover each cell: Tensor[height, width]."""
    rows, columns = (
        torch.tensor([min(i, length - size) - max(0, i - size + 1) + 1 for i in range(length)], dtype=torch.float64)
        for length, size in ((height, min(k, height)), (width, min(k, width)))
    )
    return rows.unsqueeze(1) * columns


def _mean_rate(height: int, width: int, gamma: float, k: int) -> float:
    return float((1 - (1 - min(gamma, 1.0)) ** _places_over(height, width, k)).mean())


# ---- seed_gamma


@exercise("ch08.seed_gamma")
def seed_gamma(answer: object, g: torch.Generator) -> str:
    """``seed_gamma(height, width, p, block_size)``: the formula of the paper, blocks cut to the map."""
    f = function(answer)
    size = integer(g, 2, 5)
    for height, width, k in ((14, 14, 7), (11 + size, 9, 3), (9, 10 + size, size), (4, 12, 7), (8, 5, 6), (6, 6, 6)):
        p = uniform(g, 0.05, 0.45)
        got, want = number(f(height, width, p, k), "gamma"), _gamma(height, width, p, k)
        if abs(got - want) <= 1e-6 * want:
            continue
        told = f"(For a map of {height} x {width}, p = {p} and blocks of {k} you gave {got:.6g}.)"
        places = (height - k + 1) * (width - k + 1)
        known = {
            p: "that is p, the rate of cells. One seed costs many cells, so seeds must fire far less often.",
            p
            / k**2: "the factor of the map is missing: seeds may fire only where a whole block fits, and they have to "
            "make up for the other places.",
            _gamma(height, width, 1 - p, k): f"{SWAPPED.split(';')[0]}; here p is the probability of dropping.",
            _gamma(height, height, p, k): "the width is not used: maps need not be square.",
            _gamma(width, width, p, k): "the height is not used: maps need not be square.",
        }
        if min(height, width) > k:
            off_by_one = p * height * width / (k**2 * (height - k) * (width - k))
            known[off_by_one] = (
                "a block of k cells fits in length - k + 1 places along an axis, one more than you count."
            )
            known[p * height * width / (k * places)] = "a block costs k times k cells, not k."
            known[p * height * width / places] = "a seed costs as many cells as a block has: divide by them."
        if min(height, width) < k:
            not_yet(f"a block larger than the map is cut to the map's length, along that axis only. {told}")
        for value, hint in known.items():
            if near(got / want, value / want, tolerance=1e-6):
                not_yet(f"{hint} {told}")
        not_yet(f"gamma times cells of a block times places for a block must be p times the cells of the map. {told}")
    return "Area of a block, places for a block: nothing forgotten."


# ---- drop_block2d


def _output(f: Answer, x: Tensor, p: float, k: int, training: bool, g: torch.Generator | None) -> Tensor:
    y = tensor(f(x, p, k, training=training, generator=g), "the output")
    if y.shape != x.shape:
        not_yet(
            f"the output must have the shape of x, {tuple(x.shape)}; with blocks of {k} yours has {tuple(y.shape)}. "
            "Even blocks easily add or lose a row."
        )
    if y.dtype != x.dtype:
        not_yet(f"the output must have the dtype of x: x is {x.dtype}, your output {y.dtype}.")
    return y


def _spread(seeds: Tensor, high: int, wide: int) -> Tensor:
    """Cells that lie under a seed, if each seed is the upper left cell of its block."""
    return F.max_pool2d(F.pad(seeds, [wide - 1, wide - 1, high - 1, high - 1]), (high, wide), stride=1)


def _whole_blocks(gone: Tensor, high: int, wide: int) -> Tensor:
    """The cells of ``gone`` that belong to a block of which every cell is gone."""
    return _spread(1 - F.max_pool2d(1 - gone, (high, wide), stride=1), high, wide)


def _blocks_fit(f: Answer, g: torch.Generator) -> None:
    odd_is_right = False
    for height, width, k in ((13, 10, 3), (12, 15, 5), (13, 10, 4), (9, 12, 2), (5, 12, 7), (6, 4, 8), (9, 9, 1)):
        x = torch.randn(30, 6, height, width, generator=g)
        x = x + x.sign()
        high, wide = min(k, height), min(k, width)
        told = f"(Maps of {height} x {width}, blocks of {k}, p = 0.3.)"
        try:
            y = _output(f, x, 0.3, k, True, g)
        except NotYet as error:
            if k <= min(height, width):
                raise
            not_yet(f"{error}. A block larger than the map is cut to the map's length, along that axis only. {told}")
        gone = (y == 0).float()
        if not gone.any():
            continue  # how often seeds fire is asked later
        if gone.all():
            not_yet(f"everything was dropped in {len(x) * 6} maps. {told}")
        if (gone == gone[:, :1]).all() and (gone == gone[:1]).all():
            not_yet(f"all maps got the same mask: each channel of each example draws its own seeds. {told}")
        if (gone == gone[:, :1]).all():
            not_yet(f"all channels share a mask: here each channel of each example draws its own seeds. {told}")
        if (gone == gone[:1]).all():
            not_yet(f"all examples share a mask: each example draws its own seeds. {told}")
        if torch.equal(_whole_blocks(gone, high, wide), gone):
            odd_is_right |= k % 2 == 1 and k > 1
            continue
        margin = [wide - 1, wide - 1, high - 1, high - 1]
        hung = _whole_blocks(F.pad(gone, margin, value=1.0), high, wide)
        cut = torch.equal(hung[..., high - 1 : high - 1 + height, wide - 1 : wide - 1 + width], gone)
        if k % 2 == 0 and odd_is_right and min(height, width) > k:
            not_yet(
                f"odd blocks are right, even ones are not: they are shifted, or one cell too large or too small. Let a "
                f"seed stand for the upper left cell of its block, and no size is special. {told}"
            )
        if k > min(height, width):
            not_yet(f"a block larger than the map is cut to the map's length, along that axis only. {told}")
        if cut:
            not_yet(f"blocks hang over the border: draw seeds only for places where a whole block fits. {told}")
        not_yet(f"what is gone is no union of whole blocks of {high} x {wide} cells. {told}")


def _evaluation(f: Answer, x: Tensor, g: torch.Generator) -> None:
    y = _output(f, x, 0.3, 3, False, g)
    if torch.equal(y, x):
        return
    if (y == 0).any():
        not_yet("with training=False nothing may be dropped: return x unchanged.")
    not_yet("with training=False nothing is scaled either: return x unchanged.")


def _factor(f: Answer, x: Tensor, g: torch.Generator) -> None:
    p = uniform(g, 0.15, 0.35)
    y = _output(f, x, p, 4, True, g)
    kept = y != 0
    ratio = (y[kept] / x[kept]).double()
    want, factor = x.numel() / int(kept.sum()), float(ratio.median())
    told = f"(Kept: {int(kept.sum())} of {x.numel()} cells, so the factor is {want:.4f}; yours was {factor:.4f}.)"
    if (ratio - factor).abs().max() > 1e-4:
        not_yet(
            "not all survivors are scaled by the same factor: count the kept cells over the whole x, not map by map or "
            f"example by example. {told}"
        )
    if abs(factor - want) <= 2e-4:
        return
    if near(factor, 1 / (1 - p), tolerance=1e-4):
        not_yet(f"you divide by 1 - p. Few blocks fall, so the share that is really kept varies: count it. {told}")
    if near(factor, 1.0, tolerance=1e-4):
        not_yet(f"nothing is scaled: multiply what is kept by all cells over kept cells. {told}")
    if near(factor, 1 / want, tolerance=1e-4):
        not_yet(f"the fraction is upside down: survivors must get larger. {told}")
    not_yet(f"the factor is off. {told}")


def _rate(f: Answer, g: torch.Generator) -> None:
    height, width, k, p = 10, 12, 3, 0.2
    x = torch.ones(500, 8, height, width)
    gamma = _gamma(height, width, p, k)
    want = _mean_rate(height, width, gamma, k)
    got = error = math.nan
    for _ in range(2):
        shares = (_output(f, x, p, k, True, g) == 0).double().mean((2, 3)).flatten()
        got, error = float(shares.mean()), 4 * float(shares.std()) / math.sqrt(len(shares))
        if abs(got - want) <= error:
            break
    else:
        told = f"(Maps of {height} x {width}, blocks of {k}, p = {p}: you drop {got:.3f} of the cells, not {want:.3f}.)"
        wrong = {
            p / k**2: "the factor of the map is missing in gamma.",
            p: "your seeds fire with probability p, which is the rate of cells.",
            _gamma(height, width, 1 - p, k): SWAPPED,
            p / (height - k + 1) / (width - k + 1): "p is not the probability of one block on the map.",
        }
        for value, hint in wrong.items():
            if abs(got - _mean_rate(height, width, value, k)) <= 2 * error:
                not_yet(f"{hint} {told}")
        not_yet(
            "the share of dropped cells is off: each place throws its own coin, and a seed fires with the probability "
            f"of exercise 1. {told}"
        )


def _corners(f: Answer, g: torch.Generator) -> None:
    everything = _output(f, torch.ones(3, 2, 5, 4), 1.0, 9, True, g)
    if everything.isnan().any():
        not_yet("where nothing is kept your output is NaN: 0 times infinity. Return zeros there.")
    if everything.any():
        not_yet("at p = 1, with a block as large as the map, everything is dropped, and your output is not all zeros.")
    x = torch.randn(5, 4, 9, 9, generator=g)
    if not torch.equal(_output(f, x, 0.0, 3, True, g), x):
        not_yet("at p = 0 nothing is dropped and nothing scaled: the output must be x.")
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        y = _output(f, torch.ones(80, 12, 10, 9, dtype=dtype), 0.2, 3, True, g).double()
        mean = float(y.mean())
        if not abs(mean - 1) < 0.01:
            not_yet(
                f"in {dtype}, ones must have the mean 1 behind the layer, and yours have {mean:.3g}. Numbers in half "
                "precision end at 65,504 and have few digits: count the kept cells in integers or in float64."
            )


@exercise("ch08.drop_block2d")
def drop_block2d(answer: object, g: torch.Generator) -> str:
    """``drop_block2d(x, p, block_size, training=True, generator=None)``: whole blocks, scaled by what was kept."""
    f = function(answer)
    x = torch.randn(20, 8, 12, 11, generator=g)
    x = x + x.sign()
    _evaluation(f, x, g)
    _blocks_fit(f, g)
    _rate(f, g)
    _factor(f, x, g)
    follows_generator(lambda seeded: f(x, 0.3, 3, generator=seeded), lambda: f(x, 0.3, 3))
    _corners(f, g)
    return "Whole blocks on any map, as often as asked for, and scaled by what was really kept."


# ---- growing_rate


@exercise("ch08.growing_rate")
def growing_rate(answer: object, g: torch.Generator) -> str:
    """``growing_rate(step, steps, p)``: linear from 0 to p, then p."""
    f = function(answer)
    p, steps = uniform(g, 0.1, 0.6), integer(g, 8, 200)
    rates = {step: number(f(step, steps, p), "the rate") for step in (0, steps, steps // 4, steps // 2, 3 * steps)}
    told = f"(For steps = {steps} and p = {p}: " + ", ".join(f"{r:.4g} at step {s}" for s, r in rates.items()) + ".)"
    start, end = rates[0], rates[steps]
    if near(start, 1.0) and near(end, 1 - p):
        not_yet(f"that is the probability of keeping; the rate here is that of dropping. {told}")
    if near(start, p) and near(end, p):
        not_yet(f"the rate is constant: it must start at 0. {told}")
    if near(start, p):
        not_yet(f"the rate falls: it must start at 0 and end at p. {told}")
    if not near(start, 0.0):
        not_yet(f"at step 0 the rate must be 0. {told}")
    if near(end, 0.0) or near(rates[steps // 2], 0.0):
        not_yet(f"the rate stays 0 on the way: is there a division that rounds down? {told}")
    if not near(end, p):
        not_yet(f"at step `steps` the rate must be p. {told}")
    if rates[3 * steps] > p + 1e-9:
        not_yet(f"the rate runs on when the ramp has ended, and can even pass 1: let it stay at p. {told}")
    if not near(rates[3 * steps], p):
        not_yet(f"after the ramp the rate must stay at p. {told}")
    for step in (steps // 4, steps // 2):
        if not near(rates[step], p * step / steps):
            not_yet(f"in between the rate must grow linearly: after half of the steps it is p/2. {told}")
    return "It starts gently, arrives, and stays."


# ---- exact_gamma


@exercise("ch08.exact_gamma")
def exact_gamma(answer: object, g: torch.Generator) -> str:
    """``exact_gamma(height, width, p, block_size)``: the gamma whose mean rate over the cells is p."""
    f = function(answer)
    for height, width, k in ((14, 14, 7), (8 + integer(g, 0, 4), 13, 3), (7, 9, 4), (6, 6, 6), (9, 5, 1)):
        for p in (uniform(g, 0.08, 0.3), uniform(g, 0.4, 0.7)):
            gamma = number(f(height, width, p, k), "gamma")
            mean = _mean_rate(height, width, gamma, k) if 0 <= gamma <= 1 else math.nan
            if abs(mean - p) <= 1e-6:
                continue
            told = (
                f"(Maps of {height} x {width}, blocks of {k}: your gamma {gamma:.6g} drops {mean:.6f} of the cells on "
                f"average, asked for was {p}.)"
            )
            paper, over = _gamma(height, width, p, k), _places_over(height, width, k)
            known = {
                paper: "that is the formula of exercise 1, which counts overlapping blocks twice.",
                1
                - (1 - p) ** (1 / k**2): "that is right where every cell lies under k times k seeds. At the border of "
                "a map there are fewer.",
                1
                - (1 - p) ** (1 / float(over.mean())): "you put the mean number of seeds over a cell into the formula "
                "for a cell. The mean of a curve is not the curve at the mean.",
                paper * p / _mean_rate(height, width, paper, k): "one correction is not enough: the mean rate does not "
                "grow in proportion to gamma. Repeat it, or halve an interval.",
            }
            for value, hint in known.items():
                if near(gamma / paper, value / paper, tolerance=1e-6):
                    not_yet(f"{hint} {told}")
            if abs(mean - p) <= 2e-3:
                not_yet(f"close, but not within a millionth: search longer. {told}")
            not_yet(f"the mean of 1 - (1 - gamma)**n over all cells must be p, n being the seeds over a cell. {told}")
    nothing = number(f(8, 8, 0.0, 3), "gamma")
    if abs(nothing) > 1e-9:
        not_yet(f"at p = 0 no seed may fire; your gamma is {nothing:.3g}.")
    return "A rate that keeps its word."
