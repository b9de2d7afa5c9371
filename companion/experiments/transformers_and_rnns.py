r"""Chapter 13: where a transformer drops, what a mask does to a memory, and when the best rate is zero.

Signs predicted before running. On few and partly wrong labels a rate of 0.1 gains at any site of a transformer, and at
all of them at once; 0.5 at three sites at once costs accuracy. Dropout behind the additions, where it cuts the
shortcut as well, is worse than on the branches in front of them. A fresh mask at every step erases what a recurrent net
carries, a locked one does not: so locked masks win where the mask hits the carried state, in a simple net and in a
gated one. Where a gate carries the state past the mask the usual advice predicts the same. A language model that sees
every character once is best without dropout; one that sees a little text 20 times is best with it.

Every arm is trained apart from the others, so that a chapter can do some of them again.
"""

import math
import time
from collections.abc import Mapping, Sequence
from itertools import product

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from companion.data import Task, digits, remember, text
from companion.experiments.protocol import Record, make_record, scores
from companion.layers.dropout import Dropout
from companion.masks import bernoulli
from companion.models import StackedRecurrent, StackedTransformer
from companion.training import clipped, cosine_adam, epochs, evaluate, train

__all__ = [
    "EXPERIMENTS",
    "MASKS_ARMS",
    "SITES_ARMS",
    "TEXT_ARMS",
    "checkpoint_error",
    "epochs_of_text",
    "lstm_masks",
    "rank_noise",
    "recurrent_masks",
    "row_sums",
    "survival",
    "transformer_sites",
]


# --- exact ------------------------------------------------------------------------------------------------------------


def row_sums(row: Sequence[float], p: float) -> list[tuple[tuple[int, ...], float, float]]:
    r"""What a row of attention weights sums to after inverted dropout: mask, sum and chance of every mask.

    The mean of the sums is that of the row, and their variance :math:`\frac{p}{1-p}\sum_i a_i^2`.

    Args:
        row: attention weights.
        p: probability of dropping a weight, below 1.
    """
    return [
        (
            mask,
            math.fsum(m * weight for m, weight in zip(mask, row, strict=True)) / (1 - p),
            math.prod(1 - p if m else p for m in mask),
        )
        for mask in product((1, 0), repeat=len(row))
    ]


def survival(p: float, steps: int) -> tuple[float, float]:
    """Chance that what a unit remembers passes ``steps`` masks: masks drawn at each step, and one locked mask."""
    return (1 - p) ** steps, 1 - p


# --- what libraries do ------------------------------------------------------------------------------------------------


def lstm_masks(layers: int, steps: int, units: int, p: float, seed: int = 0) -> Tensor:
    """What nn.LSTM(dropout=p) drops in front of its last layer: Tensor[steps, units], 1 (kept) or 0 (dropped).

    The last layer is made to show what it is given: its weights are the identity, its gates open, its memory off, so
    that its output is zero where its input was dropped. With one layer the mask would be in front of the input.

    Args:
        layers: number of layers.
        steps: length of the sequence.
        units: units of every layer.
        p: the argument ``dropout`` of nn.LSTM.
        seed: seed of torch's global generator, which nn.LSTM draws from and which is put back.
    """
    with torch.random.fork_rng([]), torch.no_grad():
        torch.manual_seed(seed)
        lstm = nn.LSTM(units, units, layers, dropout=p).train()
        for name, parameter in lstm.named_parameters():
            parameter.zero_()
            rows = parameter.unflatten(0, (4, units))  # input, forget, cell and output gate
            if name.startswith("weight_ih"):
                rows[2] = torch.eye(units)
            elif name.startswith("bias_ih"):
                rows[0], rows[1], rows[3] = 20.0, -20.0, 20.0
        output, _ = lstm(torch.ones(steps, 1, units))
    return (output[:, 0].abs() > 1e-3).int()  # a closed gate still lets through a billionth


def checkpoint_error(p: float = 0.5, *, preserve: bool, seed: int = 0) -> float:
    """Relative error of a gradient that went through activation checkpointing, against the gradient without it.

    Args:
        p: probability of dropping behind the hidden layer.
        preserve: whether the recomputed pass gets the random state of the first one.
        seed: seed of weights, inputs and masks.
    """
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(20, 200), nn.ReLU(), Dropout(p), nn.Linear(200, 1)).double()
        x = torch.randn(64, 20, dtype=torch.float64)

        def gradient(checkpointed: bool) -> Tensor:
            torch.manual_seed(seed + 1)
            net.zero_grad()
            options = {"use_reentrant": False, "preserve_rng_state": preserve}
            (checkpoint(net, x, **options) if checkpointed else net(x)).square().mean().backward()
            return torch.cat([parameter.grad.flatten() for parameter in net.parameters()])

        right, found = gradient(False), gradient(True)
    return float((found - right).norm() / right.norm())


def rank_noise(ranks: int, *, draws: int = 2000, batch: int = 16, units: int = 32, seed: int = 0) -> float:
    """How much larger the variance of an averaged gradient is when all ranks throw the same coins.

    Each rank has its own digits, whose value is to be predicted by a network with one ReLU layer, as torch would start
    it, behind which p = 0.5 drops. The gradient is that of the outer weights. Counted is its variance over masks with
    the digits fixed: with equal masks on all ranks, over that with masks of their own. Between 1 and ``ranks``: the
    more alike the examples of different ranks, the more.

    Args:
        ranks: number of processes that share a step.
        draws: number of draws of masks.
        batch: examples of a rank.
        units: hidden units.
        seed: seed of digits, weights and masks.
    """
    g = torch.Generator().manual_seed(seed)
    images = digits((seed,), n_train=ranks * batch, noise=0.0).train
    x, target = images.x[0].double(), images.y[0].double().view(ranks, batch) / 9
    inner, shift, outer = (
        2 * torch.rand(*shape, generator=g, dtype=torch.float64) - 1 for shape in ((64, units), (units,), (units,))
    )
    hidden = ((x @ inner + shift) / 8).relu().view(ranks, batch, units)

    def variance(equal: bool) -> float:
        shape = (draws, 1 if equal else ranks, batch, units)
        dropped = 2 * bernoulli(shape, 0.5, generator=g) * hidden
        error = dropped @ outer / units**0.5 - target
        gradient = (error[..., None] * dropped).mean((1, 2))  # of half the squared error
        return float(gradient.var(0).sum())

    return variance(True) / variance(False)


# --- a transformer's sites --------------------------------------------------------------------------------------------

THREE, FIVE = ("attention", "residual", "ff"), ("embedding", "attention", "residual", "ff", "head")
# Names of arms and their rates.
SITES_ARMS: dict[str, Mapping[str, float]] = {
    "none": {},
    **{f"{site} {p}": {site: p} for site in (*FIVE, "sum") for p in (0.1, 0.5)},
    **{f"three sites {p}": dict.fromkeys(THREE, p) for p in (0.1, 0.3, 0.5)},
    "all five 0.1": dict.fromkeys(FIVE, 0.1),
}


def transformer_sites(
    arms: Sequence[str] = tuple(SITES_ARMS), seeds: Sequence[int] = range(8), steps: int = 300
) -> Record:
    """Small transformers that read digits row by row, with dropout at one site or at several.

    Predicted: gains at 0.1; no gain, or a loss, at 0.5 and three sites; "sum" worse than "residual" at the same rate.

    Args:
        arms: names of arms, among those of ``SITES_ARMS``; "sum" is dropout behind the additions.
        seeds: seeds of splits, wrong labels, initial weights and batches.
        steps: optimizer steps.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=300, n_test=500, noise=0.2)
    test, found = task.test.open(), []
    for arm in arms:
        net = StackedTransformer(8, 8, task.classes, task.seeds, [SITES_ARMS[arm]])
        train(net, task.train, steps=steps, optimizer=cosine_adam(3e-3, steps, 40), progress=f"transformer, {arm}")
        found.append(evaluate(net, test))
    return make_record(
        "transformer-sites",
        started=started,
        task=task.name,
        seeds=task.seeds,
        budget={"steps": steps, "batch": 50, "tokens": 8, "width": 32, "blocks": 2},
        **scores(arms, {part: torch.cat([each[part] for each in found]) for part in ("accuracy", "nll")}),
    )


# --- masks over time --------------------------------------------------------------------------------------------------

# Names of arms: cell, whether the carried state is dropped, kind of mask, rate.
MASKS_ARMS: dict[str, tuple[str, bool, str, float]] = {
    "Elman, none": ("elman", True, "fresh", 0.0),
    **{f"Elman, {kind} {p}": ("elman", True, kind, p) for p in (0.25, 0.5) for kind in ("fresh", "locked")},
    "GRU, none": ("gru", True, "fresh", 0.0),
    **{f"GRU state, {kind} {p}": ("gru", True, kind, p) for p in (0.25, 0.5) for kind in ("fresh", "locked")},
    **{f"GRU gates, {kind} {p}": ("gru", False, kind, p) for p in (0.25, 0.5) for kind in ("fresh", "locked")},
}


def recurrent_masks(
    arms: Sequence[str] = tuple(MASKS_ARMS), seeds: Sequence[int] = range(10), steps: int = 300
) -> Record:
    """Small recurrent networks that must remember the first of ten steps, with masks drawn at each step or locked.

    Predicted: locked above fresh where the mask hits the carried state; no more accuracy than without dropout.

    Args:
        arms: names of arms, among those of ``MASKS_ARMS``.
        seeds: seeds of sequences, initial weights and batches.
        steps: optimizer steps.
    """
    started = time.perf_counter()
    task = remember(seeds)
    test, found = task.test.open(), []
    for arm in arms:
        cell, state, kind, p = MASKS_ARMS[arm]
        net = StackedRecurrent(6, 32, task.classes, task.seeds, [(kind, p)], cell=cell, state=state)
        train(net, task.train, steps=steps, optimizer=clipped(cosine_adam(2e-3, steps), 1.0), progress=arm)
        found.append(evaluate(net, test))
    return make_record(
        "recurrent-masks",
        started=started,
        task=task.name,
        seeds=task.seeds,
        budget={"steps": steps, "batch": 50, "units": 32},
        **scores(arms, {part: torch.cat([each[part] for each in found]) for part in ("accuracy", "nll")}),
    )


# --- one pass or many -------------------------------------------------------------------------------------------------

# Names of arms: number of passes over the text, rate at the embedding, the attention weights and the branches.
PASSES = {"once": 1, "20 times": 20, "100 times": 100}
TEXT_ARMS = {f"{name}, p = {p:g}": (passes, p) for name, passes in PASSES.items() for p in (0, 0.1, 0.3)}


def epochs_of_text(
    arms: Sequence[str] = tuple(TEXT_ARMS), seeds: Sequence[int] = range(8), steps: int = 400, batch: int = 50
) -> Record:
    """Small transformers that predict the next character: of text read once, or of the beginning of it read many times.

    The number of steps, and so of characters read, is the same. Predicted: without dropout the loss on new text is
    lowest after a single pass, and not after 20. (The 100 passes were added when 20 had turned out otherwise.)

    Args:
        arms: names of arms, among those of ``TEXT_ARMS``.
        seeds: seeds of languages, initial weights and batches.
        steps: optimizer steps.
        batch: characters to predict a step.
    """
    started = time.perf_counter()
    tasks: dict[int, Task] = {}
    found = []
    for arm in arms:
        passes, p = TEXT_ARMS[arm]
        task = tasks.setdefault(passes, text(seeds, n_train=steps * batch // passes))
        net = StackedTransformer(
            8, 13, task.classes, task.seeds, [dict.fromkeys(("embedding", "attention", "residual"), p)], read="last"
        )
        train(
            net,
            task.train,
            steps=steps,
            batch=batch,
            optimizer=cosine_adam(3e-3, steps, 40),
            order=epochs,
            progress=f"text {arm}",
        )
        found.append((passes, net))
    tests = {passes: task.test.open() for passes, task in tasks.items()}
    scored = [evaluate(net, tests[passes]) for passes, net in found]
    return make_record(
        "epochs-of-text",
        started=started,
        task=f"invented text, {steps * batch} characters once or the first of them many times",
        seeds=tuple(seeds),
        budget={"steps": steps, "batch": batch, "context": 8, "width": 32, "blocks": 2},
        **scores(arms, {part: torch.cat([each[part] for each in scored]) for part in ("accuracy", "nll")}),
    )


EXPERIMENTS = {
    "transformer-sites": transformer_sites,
    "recurrent-masks": recurrent_masks,
    "epochs-of-text": epochs_of_text,
}
