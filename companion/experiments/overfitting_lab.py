r"""Chapter 09: the overfitting lab. On which data overfitting hurts, at which rate dropout helps most, and on what that
depends.

Signs predicted before running. On clean digits dropout gains a point or two, with wrong labels many times that. Test
accuracy against p rises, peaks near one half and falls to chance. The gap is no guide: it is small at both good and
hopeless rates. A network without dropout that is stopped early is about as good as one with dropout that is not. Wide
networks want more dropout, narrow ones less or none; between too little and too much data dropout gains most.

The trainings of the trainer (:func:`run`) are done one by one, each with random numbers of its own, so that any of them
can be done again alone and gives the same curve. All other experiments train arms and seeds at once.
"""

import copy
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from companion.data import Examples, digits, teacher
from companion.experiments.protocol import (
    Disagreement,
    Found,
    Record,
    by_arm,
    choose,
    in_blocks,
    load,
    make_record,
    scores,
)
from companion.models import StackedMLP
from companion.penalties import EarlyStopping
from companion.training import accuracy, cosine_adam, evaluate, train

__all__ = [
    "EXPERIMENTS",
    "RATES",
    "SAMPLE",
    "Run",
    "best_arms",
    "best_rates",
    "choices",
    "labels",
    "longer",
    "picked_by_gap",
    "rates_of",
    "repeated",
    "run",
    "runs",
    "sizes",
    "widths",
]

# The trainer's grid, and the trainings of it that the chapter does again.
RATES = tuple(step / 20 for step in range(20))
TENTHS = tuple(step / 10 for step in range(10))  # of the larger records
SAMPLE = ((0.0, 0), (0.35, 3), (0.5, 6), (0.9, 9))
HIDDEN, STEPS, EVERY = (64, 64, 64), 800, 40
# Another processor rounds differently, and a training drifts apart from there: by half a point at a look (three
# instruction sets compared). Another seed, or a rate that is 0.1 off, differs by more than this at some look.
DRIFT = 3.0
_PARTS = ("training", "test")


def _arm(p: float) -> str:
    return f"p = {p:g}"


# --- the trainer ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One training as the trainer shows it; accuracies in percent, to one decimal, with dropout off.

    Args:
        p: probability of dropping behind every hidden layer.
        seed: seed of the split, the wrong labels, the initial weights, the batches and the masks.
        steps: the steps at which it was looked.
        train: accuracy on the training images at each look, against the labels that were trained on.
        test: accuracy on the test images at each look.
        nll: negative log-likelihood on the test images after the last step, in nats.
        learnt: share of the wrong labels that the network gives back after the last step, in percent.
    """

    p: float
    seed: int
    steps: tuple[int, ...]
    train: tuple[float, ...]
    test: tuple[float, ...]
    nll: float
    learnt: float

    @property
    def gap(self) -> float:
        """Training accuracy minus test accuracy after the last step, in points."""
        return self.train[-1] - self.test[-1]


def run(
    p: float,
    seed: int,
    *,
    hidden: Sequence[int] = HIDDEN,
    steps: int = STEPS,
    every: int = EVERY,
    n_train: int = 300,
    n_test: int = 1000,
    noise: float = 0.2,
    device: torch.device | str = "cpu",
    look: Callable[[int, float, float], None] | None = None,
    progress: str | None = None,
) -> Run:
    """Trains one network on digits of which some labels are wrong, and looks at it on the way.

    The same arguments give the same run on a CPU; on another processor it differs by a point at most looks. On a GPU
    the masks are other ones, so that a run there is another draw of the same experiment.

    Args:
        p: probability of dropping behind every hidden layer.
        seed: seed of everything that is random.
        hidden: units of the hidden layers.
        steps: optimizer steps.
        every: steps between two looks; must divide ``steps``.
        n_train, n_test: number of images.
        noise: share of wrong training labels.
        device: where to train.
        look: called at every look with the steps done and both accuracies in percent.
        progress: label of a progress bar; None: no bar.

    Raises:
        ValueError: if ``every`` does not divide ``steps``, or ``p`` is no probability.
    """
    if every < 1 or steps % every:
        raise ValueError(f"every must divide steps, got every = {every} and steps = {steps}")
    sizes = {"n_train": n_train, "n_test": n_test}
    task = digits((seed,), noise=noise, **sizes)
    truth = digits((seed,), noise=0.0, **sizes).train.y.to(device)  # the same split with its true labels
    training, test = task.train.to(device), task.test.open().to(device)
    net = StackedMLP((training.x.shape[-1], *hidden, task.classes), (seed,), (p,)).to(device)
    seen: list[tuple[int, float, float]] = []

    def watch(net: StackedMLP, step: int) -> None:
        found = [float(evaluate(net, examples)["accuracy"]) for examples in (training, test)]
        seen.append((step, *(round(100 * share, 1) for share in found)))
        if look is not None:
            look(*seen[-1])

    train(net, training, steps=steps, mask_seed=seed, watch=watch, watch_every=every, progress=progress)
    with torch.no_grad():
        answers = net(training.x).argmax(-1)
    wrong = training.y != truth
    learnt = float((answers[wrong] == training.y[wrong]).double().mean()) if bool(wrong.any()) else 0.0
    at, *curves = zip(*seen, strict=True)
    return Run(p, seed, at, *curves, nll=float(evaluate(net, test)["nll"]), learnt=100 * learnt)


def runs(rates: Sequence[float] = RATES, seeds: Sequence[int] = range(10), **settings) -> Record:
    """The trainer's recorded trainings: every rate with every seed, with the curves of both accuracies.

    Predicted: test accuracy peaks near p = 0.5 and is at chance at the highest rates; the gap does not tell the two
    sides apart; the share of wrong labels learnt falls all the way.

    Args:
        rates: probabilities of dropping, one an arm.
        seeds: paired seeds.
        settings: passed to :func:`run`.
    """
    started = time.perf_counter()
    done = {_arm(p): [run(p, seed, **settings) for seed in seeds] for p in rates}
    at = next(iter(done.values()))[0].steps
    finals = {
        "training accuracy": lambda one: one.train[-1],
        "test accuracy": lambda one: one.test[-1],
        "gap": lambda one: one.gap,
        "wrong labels learnt": lambda one: one.learnt,
        "NLL": lambda one: one.nll,
    }
    return make_record(
        "lab-runs",
        started=started,
        task="digits, 300 images, 20% of the labels for fitting wrong; networks 64-64-64-64-10, trained one by one",
        arms=tuple(done),
        seeds=seeds,
        budget={"steps": at[-1], "batch": 50, "Adam": 3e-3},
        metrics={name: {arm: [of(one) for one in ones] for arm, ones in done.items()} for name, of in finals.items()},
        units={name: "nats" if name == "NLL" else "%" for name in finals},
        curves={
            "training accuracy": {"x": at} | {arm: [one.train for one in ones] for arm, ones in done.items()},
            "test accuracy": {"x": at} | {arm: [one.test for one in ones] for arm, ones in done.items()},
        },
    )


def repeated(
    settings: Sequence[tuple[float, int]] = SAMPLE, record: Record | None = None, drift: float = DRIFT
) -> Record:
    """Does some of the recorded trainings again, compares every look of both curves, and returns the record.

    Args:
        settings: which trainings: pairs of a rate and the place of a seed among those of the record.
        record: the record of :func:`runs`; default: the stored one.
        drift: largest difference of an accuracy at one look, in points, that counts as round-off.

    Raises:
        Disagreement: if a curve is not that of the record.
    """
    record = record or load("lab-runs")
    for p, place in settings:
        seed = record.seeds[place]
        again = run(p, seed, steps=record.budget["steps"], progress=f"p = {p:g}, seed {seed}")
        for curve, now in (("training accuracy", again.train), ("test accuracy", again.test)):
            at, kept = record.curve(curve, _arm(p))
            off = np.abs(kept[place] - np.array(now))
            if off.max() > drift:
                raise Disagreement(
                    f"p = {p:g}, seed {seed}: the {curve} of the record and of this run differ by {off.max():.1f} "
                    f"points after {at[off.argmax()]:.0f} steps, allowed are {drift:g}"
                )
    total, looks = len(record.arms) * len(record.seeds), len(record.curves["test accuracy"]["x"])
    print(
        f"{record.name}: {len(settings)} of {total} trainings were done again just now, from scratch; both curves of "
        f"each agree with the record within {drift:g} points at every one of {looks} looks."
    )
    return record


def rates_of(record: Record, prefix: str = "") -> dict[float, str]:
    """The arms of a record that are a rate and nothing else: rate -> arm, in the record's order.

    Args:
        record: a record of this module.
        prefix: what the arms begin with, before "p = ".

    Raises:
        ValueError: if no arm begins so.
    """
    found = {
        float(match[1]): arm for arm in record.arms if (match := re.fullmatch(rf"{re.escape(prefix)}p = ([\d.]+)", arm))
    }
    if not found:
        raise ValueError(f"prefix must begin some of the arms {list(record.arms)}, got {prefix!r}")
    return found


def best_rates(record: Record, metric: str = "test accuracy", prefix: str = "", sign: int = 1) -> np.ndarray:
    """The best rate of every seed: a description of a record, never a choice of a setting.

    Args:
        record: a record of this module.
        metric: what is best.
        prefix: what the arms begin with; see :func:`rates_of`.
        sign: 1 if a high metric is good, -1 if a low one is.

    Returns:
        One rate a seed; of equal ones the lowest.
    """
    arms = rates_of(record, prefix)
    values = [sign * record.values(metric, arm) for arm in arms.values()]
    return np.array(list(arms))[np.argmax(values, axis=0)]


# --- arms and seeds at once -----------------------------------------------------------------------------------------


def _percent(net: StackedMLP, examples: Examples) -> Tensor:
    """Accuracy in percent: Tensor[arms, seeds]."""
    return 100 * evaluate(net, examples)["accuracy"]


def labels(
    kinds: Sequence[Literal["clean", "noisy"]] = ("clean", "noisy"),
    seeds: Sequence[int] = range(32),
    rates: Sequence[float] = (0.0, 0.5),
    noise: float = 0.2,
    steps: int = STEPS,
) -> Record:
    """Clean labels against labels of which some are wrong: on which data does overfitting hurt, and dropout help?

    Arms: both data sets (the same images and splits) at each rate. Predicted: on clean labels little is lost by
    training on, and dropout gains a point or two; with wrong labels test accuracy falls after its peak, and dropout
    gains much more.

    Args:
        kinds: which data sets; each is trained apart, so that it can be repeated alone.
        seeds: paired seeds, trained in blocks.
        rates: probabilities of dropping.
        noise: share of wrong labels of the noisy arms.
        steps: optimizer steps.
    """
    started = time.perf_counter()

    def measure(block: Sequence[int]) -> Found:
        found: Found = {name: {} for name in ("training accuracy", "test accuracy", "gap", "curve")}
        for kind in kinds:
            task = digits(block, noise=0.0 if kind == "clean" else noise)
            training, test = task.train, task.test.open()
            net = StackedMLP((64, *HIDDEN, 10), task.seeds, rates)
            seen: list[Tensor] = []
            train(
                net,
                training,
                steps=steps,
                watch=lambda net, step, seen=seen, test=test: seen.append(_percent(net, test)),
                watch_every=EVERY,
                progress=f"{kind} labels",
            )
            arms = [f"{kind}, {_arm(p)}" for p in rates]
            fitted = _percent(net, training)
            found["training accuracy"] |= by_arm(arms, fitted)
            found["test accuracy"] |= by_arm(arms, seen[-1])
            found["gap"] |= by_arm(arms, fitted - seen[-1])
            found["curve"] |= by_arm(arms, torch.stack(seen, -1))
        return found

    metrics = in_blocks(measure, seeds)
    # The record keeps the mean curve: that of every seed would be long, and no interval of it is needed.
    curve = {arm: values.mean(0, keepdim=True) for arm, values in metrics.pop("curve").items()}
    return make_record(
        "lab-labels",
        started=started,
        task=f"digits, 300 images, all labels right (clean) or {noise:.0%} of those for fitting wrong (noisy)",
        arms=tuple(metrics["gap"]),
        seeds=seeds,
        budget={"steps": steps, "batch": 50, "Adam": 3e-3},
        metrics=metrics,
        units={name: "%" for name in metrics},
        curves={"mean test accuracy": {"x": list(range(0, steps + 1, EVERY))} | curve},
    )


def choices(
    seeds: Sequence[int] = range(96),
    rates: Sequence[float] = TENTHS,
    n_validation: int = 100,
    steps: int = STEPS,
    every: int = 20,
    patience: int = 10,
) -> Record:
    """What one may choose, and by what: the rate, the moment to stop, and the metric; with many seeds.

    Arms: every rate trained to the end; no dropout and p = 0.5 stopped early (on validation accuracy, with the best
    weights restored); and the rate with the highest validation accuracy, chosen seed by seed and trained to the end.
    Validation images have wrong labels too. The test set is opened when all is decided. Predicted: stopped early, a
    network without dropout is about as good as p = 0.5 to the end; with both, a little better; the chosen rate as good
    as 0.5; the gap, near zero or low, is no guide to the best rate.

    Args:
        seeds: paired seeds, trained in blocks.
        rates: what may be chosen, from low to high; must hold 0 and 0.5. Of equal ones the lowest is chosen.
        n_validation: number of validation images, beside the 300 for training.
        steps: optimizer steps.
        every: steps between two checks of early stopping.
        patience: checks without improvement after which it stops.
    """
    started = time.perf_counter()
    arms = [_arm(p) for p in rates]
    none, half = (rates.index(p) for p in (0.0, 0.5))

    def measure(block: Sequence[int]) -> Found:
        task = digits(block, n_validation=n_validation)
        net = StackedMLP((64, *HIDDEN, 10), task.seeds, rates)
        kept = copy.deepcopy(net)  # what early stopping hands back; the nets themselves train on to the end
        stopping, stopped = EarlyStopping(patience, mode="max"), False

        def watch(net: StackedMLP, step: int) -> None:
            nonlocal stopped
            kept.load_state_dict(net.state_dict())
            stopped = stopped or stopping.step(evaluate(net, task.validation)["accuracy"].flatten(), kept)

        train(net, task.train, steps=steps, watch=watch, watch_every=every, progress="rates, stops, choices")
        stopping.restore(kept)
        stopped_at = every * stopping.best_check.view(net.arms, len(block)).double()
        chosen = best_arms(net, task.validation)
        test = task.test.open()
        end, early = evaluate(net, test), evaluate(kept, test)
        found: Found = {"training accuracy": by_arm(arms, _percent(net, task.train))}
        for name, key, unit in (("test accuracy", "accuracy", 100), ("NLL", "nll", 1)):
            found[name] = by_arm(arms, unit * end[key]) | {
                "p chosen": unit * end[key][chosen, range(len(block))],
                "p = 0, early": unit * early[key][none],
                "p = 0.5, early": unit * early[key][half],
            }
        found["best check, step"] = {"p = 0, early": stopped_at[none], "p = 0.5, early": stopped_at[half]}
        found["chosen p"] = {"p chosen": torch.tensor([rates[arm] for arm in chosen])}
        return found

    metrics = in_blocks(measure, seeds)
    return make_record(
        "lab-choice",
        started=started,
        task=f"digits, 300 images, 20% of the labels for fitting wrong; {n_validation} more for validation",
        arms=tuple(metrics["NLL"]),
        seeds=seeds,
        budget={"steps": steps, "batch": 50, "Adam": 3e-3, "patience": f"{patience} checks of {every} steps"},
        metrics=metrics,
        units={"training accuracy": "%", "test accuracy": "%", "NLL": "nats"},
    )


def picked_by_gap(record: Record, lowest: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The rate of every seed whose gap is nearest to zero, or lowest, and the test accuracy that it reaches.

    Args:
        record: a record with training and test accuracy of several rates.
        lowest: whether the lowest gap is meant, negative if possible, instead of the one nearest to zero.

    Returns:
        Rates and test accuracies in percent, one a seed.
    """
    arms = rates_of(record)
    train, test = (np.array([record.values(f"{part} accuracy", arm) for arm in arms.values()]) for part in _PARTS)
    gap = train - test
    place = np.argmin(gap if lowest else np.abs(gap), axis=0)
    return np.array(list(arms))[place], np.take_along_axis(test, place[None], 0)[0]


@torch.no_grad()
def best_arms(net: StackedMLP, validation: Examples) -> list[int]:
    """For every seed the arm with the highest accuracy on that seed's validation images."""
    logits = net(validation.x).view(net.arms, len(net.seeds), len(validation), -1)
    best = []
    for seed in range(len(net.seeds)):
        own = Examples(validation.x[seed : seed + 1], validation.y[seed : seed + 1], validation.role)
        best.append(choose(range(net.arms), lambda arm, one, s=seed: float(accuracy(logits[arm, s][None], one.y)), own))
    return best


def widths(
    units: Sequence[int] = (16, 32, 64, 128),
    seeds: Sequence[int] = range(16),
    rates: Sequence[float] = TENTHS,
    steps: int = STEPS,
) -> Record:
    """The same lab with narrower and wider layers. Predicted: the best rate rises with the width.

    Args:
        units: units of each of the three hidden layers; each width is trained apart, so that it can be repeated alone.
        seeds: paired seeds, trained in blocks.
        rates: probabilities of dropping.
        steps: optimizer steps.
    """
    started = time.perf_counter()

    def measure(block: Sequence[int]) -> Found:
        found: Found = {"training accuracy": {}, "test accuracy": {}}
        for width in units:
            task = digits(block)
            net = StackedMLP((64, width, width, width, 10), task.seeds, rates)
            train(net, task.train, steps=steps, progress=f"{width} units")
            names = [f"{width} units, {_arm(p)}" for p in rates]
            found["training accuracy"] |= by_arm(names, _percent(net, task.train))
            found["test accuracy"] |= by_arm(names, _percent(net, task.test.open()))
        return found

    metrics = in_blocks(measure, seeds)
    return make_record(
        "lab-width",
        started=started,
        task="digits, 300 images, 20% of the labels for fitting wrong; three hidden layers",
        arms=tuple(metrics["test accuracy"]),
        seeds=seeds,
        budget={"steps": steps, "batch": 50, "Adam": 3e-3},
        metrics=metrics,
        units={name: "%" for name in metrics},
    )


def sizes(
    counts: Sequence[int] = (100, 300, 1000, 3000, 10_000),
    seeds: Sequence[int] = range(16),
    rates: Sequence[float] = (0.0, 0.2, 0.5),
    steps: int = 1000,
) -> Record:
    """Gain of dropout against the number of training examples, with labels by a random teacher, some of them wrong.

    Digits are too few for this question. Predicted: no gain with very few examples, most with about a thousand, a loss
    with ten thousand.

    Args:
        counts: numbers of training examples; each is trained apart, so that it can be repeated alone.
        seeds: paired seeds, trained in blocks.
        rates: probabilities of dropping.
        steps: optimizer steps.
    """
    started = time.perf_counter()

    def measure(block: Sequence[int]) -> Found:
        found: Found = {"accuracy": {}, "NLL": {}}
        for n in counts:
            task = teacher(block, n_train=n)
            net = StackedMLP((16, 64, 64, task.classes), task.seeds, rates)
            optimizer = cosine_adam(5e-3, steps)
            train(net, task.train, steps=steps, batch=64, optimizer=optimizer, progress=f"{n} examples")
            parts = scores([f"{n} examples, {_arm(p)}" for p in rates], evaluate(net, task.test.open()))["metrics"]
            found = {name: values | parts[name] for name, values in found.items()}
        return found

    metrics = in_blocks(measure, seeds)
    return make_record(
        "lab-size",
        started=started,
        task="random teacher, 16 inputs, 5 classes, 20% of the labels for fitting wrong; networks 16-64-64-5",
        arms=tuple(metrics["accuracy"]),
        seeds=seeds,
        budget={"steps": steps, "batch": 64, "Adam": "5e-3, falling to 0"},
        metrics=metrics,
        units={"accuracy": "%", "NLL": "nats"},
    )


def longer(
    rates: Sequence[float] = (0.5, 0.8, 0.9), seeds: Sequence[int] = range(24), steps: int = STEPS, times: int = 3
) -> Record:
    """Too much dropout, or too little training? The same networks looked at again after ``times`` the steps.

    Predicted: p = 0.8 gains much, p = 0.9 does not recover.

    Args:
        rates: probabilities of dropping; each is trained apart, so that it can be repeated alone.
        seeds: paired seeds, trained in blocks.
        steps: optimizer steps of the short arms.
        times: how many times more steps the long arms take.
    """
    started = time.perf_counter()

    def measure(block: Sequence[int]) -> Found:
        found: Found = {"training accuracy": {}, "test accuracy": {}}
        for p in rates:
            task = digits(block)
            parts = dict(zip(_PARTS, (task.train, task.test.open()), strict=True))
            net = StackedMLP((64, *HIDDEN, 10), task.seeds, (p,))

            def watch(net: StackedMLP, step: int, p: float = p, parts: dict[str, Examples] = parts) -> None:
                if step in (steps, times * steps):
                    for part, examples in parts.items():
                        found[f"{part} accuracy"][f"{_arm(p)}, {step} steps"] = _percent(net, examples)[0]

            train(net, task.train, steps=times * steps, watch=watch, watch_every=steps, progress=f"{_arm(p)}, longer")
        return found

    metrics = in_blocks(measure, seeds)
    return make_record(
        "lab-longer",
        started=started,
        task="digits, 300 images, 20% of the labels for fitting wrong",
        arms=tuple(metrics["test accuracy"]),
        seeds=seeds,
        budget={"batch": 50, "Adam": 3e-3},
        metrics=metrics,
        units={name: "%" for name in metrics},
    )


EXPERIMENTS = {
    "lab-runs": runs,
    "lab-labels": labels,
    "lab-choice": choices,
    "lab-width": widths,
    "lab-size": sizes,
    "lab-longer": longer,
}
