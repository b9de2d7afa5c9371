"""Chapter 05, spatial dropout: the shape of a channel mask, the layer, an honest R², and the trap of two axes."""

import math

import torch
from torch import Tensor, nn

from companion.assignments.check import (
    Answer,
    exercise,
    function,
    integer,
    near,
    not_yet,
    number,
    off,
    shown,
    tensor,
    uniform,
)
from companion.assignments.checks.coins import SWAPPED, follows_generator

# ---- channel_mask_shape


@exercise("ch05.channel_mask_shape")
def channel_mask_shape(answer: object, g: torch.Generator) -> str:
    """``channel_mask_shape(shape, layout)``: length 1 for all axes but examples and channels."""
    f = function(answer)
    for layout in ("NCHW", "NCL", "NHWC", "NLC"):
        lengths = (torch.randperm(8, generator=g)[: len(layout)] + 2).tolist()  # all different, to tell axes apart
        shape = tuple(lengths)
        got = f(shape, layout)
        if not isinstance(got, tuple | list | torch.Size):
            not_yet(f"return a tuple of whole numbers; for {shape} and {layout!r} it was {shown(got)}.")
        got, sizes = tuple(got), dict(zip(layout, shape, strict=True))
        if got == tuple(length if letter in "NC" else 1 for letter, length in sizes.items()):
            continue
        told = f"For x of shape {shape} in the layout {layout} you gave {got}."
        if got[:2] == shape[:2] and set(got[2:]) <= {1} and layout[1] != "C":
            not_yet(f"the channels are not always the second axis: look where the C stands. {told}")
        if got == tuple(length if letter == "C" else 1 for letter, length in sizes.items() if letter != "N"):
            not_yet(f"the axis of the examples is missing, so that all of them would lose the same channels. {told}")
        if len(got) != len(shape):
            not_yet(
                f"the mask needs as many axes as x, or it does not broadcast: an axis that shares its coin keeps its "
                f"place with length 1. {told}"
            )
        if got == tuple(length if letter == "C" else 1 for letter, length in sizes.items()):
            not_yet(f"this drops the same channels in every example of the batch: each example throws its own. {told}")
        if got == tuple(1 if letter == "C" else length for letter, length in sizes.items()):
            not_yet(f"this drops places from all channels, not channels from all places. {told}")
        if got == shape:
            not_yet(f"that is a coin for every cell: no channel falls as a whole. {told}")
        if got == tuple(length if letter == "N" else 1 for letter, length in sizes.items()):
            not_yet(f"that is one coin for each example: all of its channels would fall together. {told}")
        not_yet(f"examples and channels have coins of their own, all other axes share them. {told}")
    return "Two axes with coins, the rest of length 1."


# ---- channel_dropout


def _output(f: Answer, x: Tensor, p: float, g: torch.Generator | None, training: bool = True) -> Tensor:
    y = tensor(f(x, p, training=training, generator=g), "the output")
    if y.shape != x.shape:
        not_yet(f"the output must have the shape of x, {tuple(x.shape)}; yours has {tuple(y.shape)}.")
    if y.dtype != x.dtype:
        not_yet(f"the output must have the dtype of x: x is {x.dtype}, your output {y.dtype}.")
    return y


def _one_coin_a_channel(kept: Tensor) -> None:
    """Refuses fates, Tensor[N, C, H, W] of bool, that are not one coin for each channel of each example."""
    if (kept == kept[:, :, :1, :1]).all():
        coins = kept[:, :, 0, 0]
        if (coins == coins[:1]).all():
            not_yet("every example lost the same channels: each example throws its own coins.")
        if (coins == coins[:, :1]).all():
            not_yet("all channels of an example share one coin: whole examples are dropped.")
        return
    if (kept == kept[:, :1]).all():
        not_yet(
            "places are dropped from all channels, not channels from all places: the mask has the shape (N, 1, H, W), "
            "and it should be (N, C, 1, 1)."
        )
    if (kept == kept[..., :1]).all() or (kept == kept[..., :1, :]).all():
        not_yet("rows or columns of a map share a coin, the whole map does not: all spatial axes have length 1.")
    not_yet("the cells of a channel do not share their fate: one coin decides about the whole channel.")


@exercise("ch05.channel_dropout")
def channel_dropout(answer: object, g: torch.Generator) -> str:
    """``channel_dropout(x, p, training=True, generator=None)`` for (N, C, *spatial)."""
    f = function(answer)
    x = torch.randn(24, 30, 4, 5, generator=g)
    x = x + x.sign()

    same = _output(f, x, 0.5, g, training=False)
    if not torch.equal(same, x):
        not_yet("with training=False the result must be x itself: nothing dropped, nothing scaled.")
    nothing = _output(f, x, 1.0, g)
    if nothing.isnan().any():
        not_yet("at p = 1 your output is NaN: 0 divided by 0. Everything is dropped there, so return zeros.")
    if nothing.any():
        not_yet(
            (SWAPPED if torch.equal(nothing, x) else "at p = 1 every channel is dropped.")
            + " Your output there is not all zeros."
        )
    if not torch.equal(_output(f, x, 0.0, g), x):
        not_yet("at p = 0 nothing is dropped and nothing scaled: the output must be x.")

    for p in (0.5, uniform(g, 0.2, 0.4)):
        y = _output(f, x, p, g)
        kept = y != 0
        _one_coin_a_channel(kept)
        factor = float((y / x)[kept].median())
        if not near(factor, 1 / (1 - p), tolerance=1e-4):
            why = "nothing is scaled" if near(factor, 1.0, tolerance=1e-4) else "the factor is off"
            not_yet(
                f"{why}: at p = {p} your survivors are {factor:.4g} times x, and the mean is kept by "
                f"1/(1 - p) = {1 / (1 - p):.4g}. Each cell stays with probability 1 - p, as if it had its own coin."
            )
    got = off(lambda: _output(f, torch.ones(400, 50, 1, 2), 0.2, g)[..., 0, 0] != 0, 0.8, 0.4)
    if got is not None:
        swapped = f"{SWAPPED} " if near(got, 0.2, tolerance=0.05) else ""
        not_yet(f"{swapped}At p = 0.2 a share of 0.8 of the channels should stay; {got:.3f} of yours did.")
    rows = (_output(f, torch.ones(500, 64, 2, 2), 0.5, g)[..., 0, 0] != 0).double().sum(1)
    if abs(float(rows.var()) / 16 - 1) > 6 * math.sqrt(2 / len(rows)):  # by the variance of 64 coins
        not_yet(
            "the coins of the channels are not independent: how many stay varies otherwise than with 64 fair coins."
        )

    follows_generator(lambda seeded: f(x, 0.5, generator=seeded), lambda: f(x, 0.5))
    for axes in ((7,), (2, 3, 4)):
        other = torch.ones(16, 20, *axes)
        y = _output(f, other, 0.5, g)
        if not bool((y.flatten(2) == y.flatten(2)[..., :1]).all()):
            not_yet(f"for x of shape {tuple(other.shape)} the cells of a channel do not share their fate.")
    for dtype in (torch.float16, torch.float64):
        _output(f, x.to(dtype), 0.5, g)
    return "Whole channels, each on its own coin, for any number of spatial axes."


# ---- told


def _maps(g: torch.Generator, n: int, cells: int, length: float) -> Tensor:
    """Smooth random rows with means far from 0: Tensor[n, cells] of float64."""
    at = torch.arange(cells).double()
    covariance = torch.exp(-((at - at.unsqueeze(1)) ** 2) / (2 * length**2)) + 0.02 * torch.eye(cells).double()
    noise = torch.randn(n, cells, dtype=torch.float64, generator=g)
    means = 5 + torch.randn(cells, dtype=torch.float64, generator=g)
    return means + noise @ torch.linalg.cholesky(covariance).T


def _r2(fit: Tensor, judge: Tensor, columns: Tensor, cell: int, constant: bool = True) -> float:
    def inputs(maps: Tensor) -> Tensor:
        ones = torch.ones(len(maps), 1, dtype=maps.dtype)
        return torch.cat([maps[:, columns], ones], 1) if constant else maps[:, columns]

    weights = torch.linalg.lstsq(inputs(fit), fit[:, [cell]], driver="gelsd").solution
    truth = judge[:, cell]
    return float(1 - (truth - (inputs(judge) @ weights)[:, 0]).square().mean() / truth.var(correction=0))


@exercise("ch05.told")
def told(answer: object, g: torch.Generator) -> str:
    """``told(seen, unseen, kept, cell)``: R² on ``unseen`` of a least-squares fit on ``seen``."""
    f = function(answer)
    for length in (1.0, 0.3, 2.0):
        cells = integer(g, 9, 14)
        both = _maps(g, 150, cells, length)
        # What the cells of the second half are worth is another matter: an in-sample R² gives itself away.
        seen, unseen = both[:90], both[90:] * 0.7 + 1
        kept = torch.ones(cells, dtype=torch.uint8)
        kept[torch.randperm(cells, generator=g)[: cells // 3]] = 0
        cell = int((kept == 0).nonzero()[0])
        columns = kept.bool()
        got = number(f(seen, unseen, kept, cell), "what your function returns")
        if near(got, _r2(seen, unseen, columns, cell), tolerance=1e-3):
            continue
        told_ = f"(For maps of {cells} cells of which {int(kept.sum())} are kept you gave {got:.4f}.)"
        others = ~columns
        others[cell] = False
        slips = {
            1.0: "the dropped cell is among the inputs of the fit, so it tells itself: only kept cells may tell.",
            _r2(
                seen, seen, columns, cell
            ): "this is the R² on the images that the fit has seen. A fit always looks good "
            "there: judge it on `unseen`.",
            _r2(unseen, unseen, columns, cell): "you fit on the images on which you judge. Fit on `seen`, judge on "
            "`unseen`.",
            _r2(seen, unseen, others, cell): "the mask is read the wrong way round: 1 is kept, 0 is dropped.",
            _r2(
                seen, unseen, columns, cell, constant=False
            ): "the fit has no constant. The cells have means that are not "
            "0: add a column of ones, or subtract the means of `seen` from everything.",
        }
        for value, hint in slips.items():
            if near(got, value, tolerance=1e-3):
                not_yet(f"{hint} {told_}")
        if near(1 - got, _r2(seen, unseen, columns, cell), tolerance=1e-3):
            not_yet(f"that is the share that is NOT told: take 1 minus it. {told_}")
        not_yet(f"1 minus the mean squared error over the variance of the cell, both over `unseen`. {told_}")
    return "Fitted on one set, judged on another."


# ---- erases_examples


class _Columns(nn.Module):
    """Drops whole features, the same for all examples of a matrix."""

    def forward(self, x: Tensor) -> Tensor:
        return x * (torch.rand(x.shape[-1]) < 0.5) if self.training else x


class _Silent(nn.Module):
    """Returns zeros, in training and at evaluation: everything is gone, nothing is dropped together."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class _Refuses(nn.Module):
    """Counts the axes, as the companion's layers do."""

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 3:
            raise ValueError(f"x must have the shape (N, C, L), got {tuple(x.shape)}")
        return x


@exercise("ch05.erases_examples", allow={"torch"})
def erases_examples(answer: object, g: torch.Generator) -> str:
    """``erases_examples(layer)`` -> bool, judged on layers whose behaviour is known."""
    f = function(answer)
    p = uniform(g, 0.3, 0.7)
    cases = [
        ("nn.Dropout1d", nn.Dropout1d(p), True),
        ("nn.Dropout", nn.Dropout(p), False),
        ("nn.Dropout with p = 0.95", nn.Dropout(0.95), False),
        ("nn.Dropout2d", nn.Dropout2d(p), False),
        ("nn.Dropout1d with p = 0.05", nn.Dropout1d(0.05), True),
        ("a layer that drops whole columns", _Columns(), False),
        ("a layer that always returns zeros", _Silent(), False),
        ("nn.Identity", nn.Identity(), False),
        ("nn.Dropout1d behind a Dropout", nn.Sequential(nn.Dropout(0.0), nn.Dropout1d(p)), True),
        ("nn.Dropout1d in evaluation mode", nn.Dropout1d(p).eval(), True),
        ("a layer that refuses matrices", _Refuses(), False),
    ]
    for name, layer, want in cases:
        mode = layer.training
        if "refuses" in name and (error := f.error(layer)) is not None:
            not_yet(
                f"a layer that refuses a matrix erases nothing, so return False for it. Yours let the error through: "
                f"{error}"
            )
        got = f(layer)
        told_ = f"(The layer was {name}.)"
        if layer.training != mode:
            not_yet(f"leave the layer in the mode in which you got it: it was training={mode}. {told_}")
        if got not in (True, False):
            not_yet(f"return True or False; it was {shown(got)}. {told_}")
        if bool(got) == want:
            continue
        if not want and "columns" in name:
            not_yet(f"whole columns are gone, features of all examples; no example is erased. {told_}")
        if not want and "zeros" in name:
            not_yet(f"nothing is left at all: that is no dropping of rows. Ask for rows that survive, too. {told_}")
        if not want and "0.95" in name:
            not_yet(
                f"luck emptied a row, and you call it erased: take many features, so that luck is ruled out. {told_}"
            )
        if not want:
            not_yet(f"single elements fall here, and the rows as such stay. {told_}")
        if "0.05" in name:
            not_yet(f"at a small rate few rows fall: feed it many rows. {told_}")
        if "evaluation" in name:
            not_yet(f"at evaluation nothing falls. Call layer.train() first, and put the mode back. {told_}")
        not_yet(f"whole rows become zero here, and each row is an example. {told_}")
    return "You will not step into it."
