r"""Chapter 15: when dropout hurts. Data size, network size, wrong labels, passes over the data, moments of training.

Signs predicted before running. On a large network and noisy labels dropout gains most with about a thousand examples
and costs accuracy from some thousands on; a smaller network crosses zero earlier, and the smallest loses nearly
everywhere. With all labels right the gain is a small part of that. Where every example is seen once, every rate costs
accuracy; the more often the same examples come round, the more dropout gains. On a network that underfits, dropout all
the way costs accuracy. Whether dropout in the first sixth of the steps helps it is reported, not predicted.

All trainings take a fixed number of STEPS, not of passes: with much data an example is hardly seen twice.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from companion.data import Examples, teacher
from companion.experiments.protocol import Record, make_record, seed_blocks
from companion.models import StackedMLP
from companion.schedules import rate_at
from companion.training import cosine_adam, epochs, evaluate, train

__all__ = [
    "COUNTS",
    "EXPERIMENTS",
    "MOMENTS",
    "RATES",
    "STUDENTS",
    "crossing",
    "crossings",
    "gains",
    "linear_crossing",
    "linear_gain",
    "moments",
    "name",
    "passes",
    "sweep",
]

STUDENTS = {"8-8": (8, 8), "16-16": (16, 16), "64-64": (64, 64)}
COUNTS = (100, 300, 1000, 3000, 10_000, 30_000)
NOISES = (0.2, 0.0)
RATES = (0.0, 0.1, 0.2, 0.5)
# Dropout is on: always, in the first part of the steps, in the rest.
MOMENTS = ("standard", "early", "late")
# A network that cannot fit its many examples, and one that learns its few by heart.
REGIMES = {"underfits": ("16-16", 30_000), "overfits": ("64-64", 1000)}
BATCH, RATE = 64, 5e-3
BLOCK = 4  # seeds that train at once
UNITS = {"test accuracy": "%", "training accuracy": "%", "NLL": "nats"}

Metrics = dict[str, dict[str, list[float]]]


# --- trainings --------------------------------------------------------------------------------------------------------


def name(student: str, count: int, noise: float, p: float) -> str:
    """Name of an arm of :func:`sweep`."""
    return f"{student}, {count} examples, {noise:.0%} wrong, p = {p:g}"


def sweep(
    students: Sequence[str] = tuple(STUDENTS),
    counts: Sequence[int] = COUNTS,
    noises: Sequence[float] = NOISES,
    seeds: Sequence[int] = range(12),
    rates: Sequence[float] = RATES,
    steps: int = 1000,
) -> Record:
    """Every size of network with every number of examples at every rate, with some labels wrong and with none.

    Args:
        students: hidden layers, keys of ``STUDENTS``. Every pair of a student and a number is trained apart, so that it
            can be repeated alone.
        counts: numbers of training examples.
        noises: shares of wrong training labels.
        seeds: paired seeds, trained in blocks.
        rates: probabilities of dropping behind each hidden layer; the first is the control.
        steps: optimizer steps, the same for every number of examples.
    """
    started, metrics = time.perf_counter(), _empty()
    for block in seed_blocks(seeds, BLOCK):
        for count in counts:
            for noise in noises:
                task = teacher(block, n_train=count, noise=noise)
                test = task.test.open()
                for student in students:
                    net = StackedMLP((16, *STUDENTS[student], task.classes), task.seeds, rates)
                    _fit(net, task.train, steps, f"{student}, {count} examples")
                    _measure(metrics, [name(student, count, noise, p) for p in rates], net, task.train, test)
    return _record("hurts-sweep", started, metrics, seeds, steps, "networks 16-h-h-5, some or no labels wrong")


def passes(
    times: Sequence[int] = (1, 4, 16, 64),
    seeds: Sequence[int] = range(12),
    rates: Sequence[float] = RATES,
    steps: int = 1000,
    student: str = "64-64",
) -> Record:
    """One pass over many examples against many passes over few, at the same number of steps.

    Within a pass no example comes twice, and each pass has an order of its own.

    Args:
        times: how often every example is seen; each is trained apart. ``steps`` batches are cut into that many passes.
        seeds: paired seeds, trained in blocks.
        rates: probabilities of dropping; the first is the control.
        steps: optimizer steps.
        student: hidden layers, a key of ``STUDENTS``.
    """
    started, metrics = time.perf_counter(), _empty()
    for block in seed_blocks(seeds, BLOCK):
        for seen in times:
            task = teacher(block, n_train=steps * BATCH // seen)
            net = StackedMLP((16, *STUDENTS[student], task.classes), task.seeds, rates)
            _fit(net, task.train, steps, f"seen {seen} times", order=epochs)
            arms = [f"seen {seen} times, p = {p:g}" for p in rates]
            _measure(metrics, arms, net, task.train, task.test.open())
    return _record(
        "hurts-passes", started, metrics, seeds, steps, f"20% of the labels for fitting wrong; networks 16-{student}-5"
    )


def moments(
    regimes: Sequence[str] = tuple(REGIMES),
    seeds: Sequence[int] = range(32),
    rates: Sequence[float] = (0.1, 0.2, 0.5),
    steps: int = 1200,
    part: int = 6,
) -> Record:
    """Dropout all the way, in the first part of the steps only (early), or in all but the first part (late).

    Args:
        regimes: keys of ``REGIMES``: a network that underfits, one that overfits; each is trained apart.
        seeds: paired seeds, trained in blocks.
        rates: probabilities of dropping while it is on.
        steps: optimizer steps.
        part: early dropout ends, and late dropout begins, after 1/part of the steps. Liu et al. (2023) have it on for
            50 of 300 epochs.
    """
    started, metrics = time.perf_counter(), _empty()
    change = steps // part
    shapes: Mapping[str, Callable[[float, int], float]] = {
        "standard": lambda p, step: p,
        "early": lambda p, step: rate_at(step, p, 0.0, change, "early"),
        "late": lambda p, step: rate_at(step, 0.0, p, change, "late"),
    }
    arms = [("none", 0.0), *((moment, p) for moment in MOMENTS for p in rates)]
    for block in seed_blocks(seeds, BLOCK):
        for regime in regimes:
            student, count = REGIMES[regime]
            task = teacher(block, n_train=count)
            net = StackedMLP((16, *STUDENTS[student], task.classes), task.seeds, [p for _, p in arms])

            def turn(net: StackedMLP, step: int) -> None:
                now = [shapes[moment](p, step) if p else 0.0 for moment, p in arms]
                net.p[:, 1:] = torch.tensor(now).repeat_interleave(len(net.seeds))[:, None, None, None]

            _fit(net, task.train, steps, f"{regime}: early and late", watch=turn, watch_every=change)
            names = [f"{regime}, {moment}" + (f" p = {p:g}" if p else "") for moment, p in arms]
            _measure(metrics, names, net, task.train, task.test.open())
    return _record(
        "hurts-moments",
        started,
        metrics,
        seeds,
        steps,
        "20% of the labels for fitting wrong; underfits: 30,000 examples, network 16-16-16-5; "
        "overfits: 1,000 examples, network 16-64-64-5",
    )


def _empty() -> Metrics:
    return {metric: {} for metric in UNITS}


def _fit(net: StackedMLP, examples: Examples, steps: int, progress: str, **options) -> None:
    train(net, examples, steps=steps, batch=BATCH, optimizer=cosine_adam(RATE, steps), progress=progress, **options)


def _measure(metrics: Metrics, arms: Sequence[str], net: StackedMLP, training: Examples, test: Examples) -> None:
    """Adds a block's results to ``metrics``; training accuracy is that on at most 1,000 of the examples."""
    some = Examples(training.x[:, :1000], training.y[:, :1000], training.role)
    found = evaluate(net, test)
    values = {
        "test accuracy": 100 * found["accuracy"],
        "training accuracy": 100 * evaluate(net, some)["accuracy"],
        "NLL": found["nll"],
    }
    for metric, rows in values.items():
        for arm, row in zip(arms, rows.tolist(), strict=True):
            metrics[metric].setdefault(arm, []).extend(row)


def _record(title: str, started: float, metrics: Metrics, seeds: Sequence[int], steps: int, task: str) -> Record:
    return make_record(
        title,
        started=started,
        task=f"random teacher, 16 inputs, 5 classes; {task}",
        arms=tuple(metrics["NLL"]),
        seeds=seeds,
        budget={"steps": steps, "batch": BATCH, "Adam": f"{RATE:g}, falling to 0"},
        metrics=metrics,
        units=UNITS,
    )


# --- where the gain turns into a loss ---------------------------------------------------------------------------------


def gains(
    record: Record, student: str, noise: float, p: float, metric: str = "test accuracy", counts: Sequence[int] = COUNTS
) -> np.ndarray:
    """Paired gains over no dropout in a record of :func:`sweep`: array (numbers of examples, seeds)."""
    return np.stack(
        [
            record.values(metric, name(student, count, noise, p))
            - record.values(metric, name(student, count, noise, 0))
            for count in counts
        ]
    )


def crossing(counts: Sequence[float], gain: Sequence[float]) -> float:
    r"""Number of examples from which on a gain is a loss, by a straight line over log n between two measured sizes.

    .. math:: \log n_\times = \log n_a + \frac{g_a}{g_a - g_b} (\log n_b - \log n_a), \qquad g_a > 0 \ge g_b

    Of several crossings the last one counts, because that is where more data no longer bring the gain back.

    Args:
        counts: numbers of examples, rising.
        gain: the gain at each of them.

    Returns:
        The crossing; 0 if there is no gain behind which a loss follows and the last gain is none; infinity if dropout
        still gains at the largest number.

    Raises:
        ValueError: if the lists differ in length, or the numbers do not rise.
    """
    counts, gain = np.asarray(counts, dtype=float), np.asarray(gain, dtype=float)
    if counts.shape != gain.shape or counts.ndim != 1 or not len(counts):
        raise ValueError(f"gain must hold one number for each of counts, got shapes {gain.shape} and {counts.shape}")
    if counts[0] <= 0 or not (np.diff(counts) > 0).all():
        raise ValueError(f"counts must be positive and rise, got {counts.tolist()}")
    if gain[-1] > 0:
        return math.inf
    positive = np.flatnonzero(gain > 0)
    if not len(positive):
        return 0.0
    a = positive[-1]
    share = gain[a] / (gain[a] - gain[a + 1])
    return float(counts[a] * (counts[a + 1] / counts[a]) ** share)


def crossings(counts: Sequence[float], gain: np.ndarray, resamples: int = 2000, seed: int = 0) -> np.ndarray:
    """Crossings of the mean gain when the seeds are drawn again with replacement (bootstrap).

    Args:
        counts: numbers of examples, rising.
        gain: paired gains, array (numbers of examples, seeds).
        resamples: how many draws.
        seed: seed of the draws; the same seed draws the same places, so that two settings stay paired.

    Returns:
        The crossing of all seeds first, then one of each draw; see :func:`crossing` for 0 and infinity.
    """
    drawn = np.random.default_rng(seed).integers(gain.shape[1], size=(resamples, gain.shape[1]))
    means = [gain.mean(1), *(gain[:, places].mean(1) for places in drawn)]
    return np.array([crossing(counts, mean) for mean in means])


# --- exact: a linear model --------------------------------------------------------------------------------------------


def linear_gain(n: float, p: float, *, weights: int, noise: float = 1.0, signal: float = 1.0) -> float:
    r"""What dropout on the inputs of a linear model gains in expected squared error on new examples; exact.

    With inputs whose columns are orthogonal and of mean square 1, dropout multiplies the least-squares weights by
    1 - p. That costs bias and saves variance:

    .. math:: g(n) = \frac{d\,\sigma^2}{n} \bigl(1 - (1-p)^2\bigr) - p^2 \lVert w \rVert^2

    Args:
        n: number of training examples, at least ``weights``.
        p: probability of dropping an input.
        weights: number of weights d.
        noise: variance of the noise on the targets.
        signal: squared length of the true weights.
    """
    return weights * noise / n * (1 - (1 - p) ** 2) - p**2 * signal


def linear_crossing(p: float, *, weights: int, noise: float = 1.0, signal: float = 1.0) -> float:
    r"""Number of examples at which :func:`linear_gain` is zero; with more, dropout costs.

    .. math:: n_\times = \frac{d\,\sigma^2}{\lVert w \rVert^2}\,\frac{2-p}{p}

    Args:
        p, weights, noise, signal: as for :func:`linear_gain`, with p and signal above 0.
    """
    return weights * noise / signal * (2 - p) / p


EXPERIMENTS = {"hurts-sweep": sweep, "hurts-passes": passes, "hurts-moments": moments}
