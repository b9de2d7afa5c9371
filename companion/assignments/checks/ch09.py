"""Chapter 09, the overfitting lab: curves named, paired gains, a rate found on a budget, more steps or less dropout."""

import math
import random

import torch
from torch import Tensor

from companion.assignments.check import (
    exercise,
    function,
    integer,
    near,
    not_yet,
    number,
    numbers,
    shown,
    uniform,
)
from companion.experiments.overfitting_lab import rates_of
from companion.experiments.protocol import load

# ---- diagnose

_WORDS = ("overfits", "fits", "underfits")


def _regime(p: float, train: list[float], test: list[float]) -> str | None:
    """The word for a recorded run, or None where one may dispute it."""
    fallen = max(test) - test[-1]
    if p <= 0.05 and train[-1] > 96.5 and fallen > 4:
        return "overfits"
    if 0.35 < p < 0.6 and 75 < train[-1] < 90 and test[-1] > 82 and fallen < 4:
        return "fits"
    return "underfits" if p >= 0.8 and train[-1] < 60 else None


def recorded() -> list[tuple[str, list[float], list[float]]]:
    """Recorded runs whose regime nobody disputes: word, training curve, test curve."""
    record, found = load("lab-runs"), []
    for p, arm in rates_of(record).items():
        for curves in zip(
            *(record.curve(f"{part} accuracy", arm)[1].tolist() for part in ("training", "test")), strict=True
        ):
            if regime := _regime(p, *curves):
                found.append((regime, *curves))
    return found


def _complaint(said: str, regime: str, train: list[float], test: list[float]) -> str:
    ends = f"training ends at {train[-1]:.1f}%, test at {test[-1]:.1f}%, after a best of {max(test):.1f}%"
    gap = f"{train[-1] - test[-1]:.1f}".replace("-", "−")
    why = {
        ("underfits", "fits"): f"a gap of {gap} points between two low bars is no success. It has not even learned the "
        "images that it was trained on.",
        (
            "underfits",
            "overfits",
        ): "to overfit is to know the training images by heart. This network does not know them.",
        (
            "overfits",
            "fits",
        ): "it knows nearly all training labels, the wrong ones among them, and the test accuracy has "
        "fallen on the way.",
        ("overfits", "underfits"): "a low test accuracy alone does not say why. This network does very well on what it "
        "was trained on.",
        (
            "fits",
            "overfits",
        ): "one label in five is wrong, so a network that learns the digits and not the errors stays "
        "near 80% in training. Its test accuracy has not fallen.",
        (
            "fits",
            "underfits",
        ): "a training accuracy near 80% is all that a network should reach that does not learn the "
        "wrong labels: one in five.",
    }[regime, said]
    return f"for one run you said {said!r}: {ends}. {why[0].upper()}{why[1:]}"


@exercise("ch09.diagnose")
def diagnose(answer: object, g: torch.Generator) -> str:
    """``diagnose(train, test)`` -> "overfits", "fits" or "underfits", for lists of accuracies in percent."""
    f, runs = function(answer), recorded()
    for i in torch.randperm(len(runs), generator=g)[:60].tolist():
        regime, train, test = runs[i]
        said = f(train, test)
        if said not in _WORDS:
            not_yet(f"return one of the words {', '.join(map(repr, _WORDS))}; it was {shown(said)}.")
        if said != regime:
            not_yet(_complaint(said, regime, train, test))
    return "Sixty recorded runs, all named as their rates would have it."


# ---- paired_gain


@exercise("ch09.paired_gain")
def paired_gain(answer: object, g: torch.Generator) -> str:
    """``paired_gain(with_dropout, without)`` -> mean and standard error of the differences seed by seed."""
    f = function(answer)
    for n in (10, integer(g, 5, 16), 2):
        split = 4 * torch.randn(n, dtype=torch.float64, generator=g)
        without = 80 + split + 0.5 * torch.randn(n, dtype=torch.float64, generator=g)
        gain = uniform(g, 1.0, 3.0) * (1 if integer(g, 0, 1) else -1)
        with_dropout = 80 + split + gain + 0.5 * torch.randn(n, dtype=torch.float64, generator=g)
        mean, error = numbers(f(with_dropout, without), 2, "what paired_gain returns")
        differences = with_dropout - without
        want, deviation = float(differences.mean()), float(differences.std())
        right = deviation / math.sqrt(n)
        told = f"(For {n} seeds you gave {mean:.4g} and {error:.4g}.)".replace("-", "−")
        if near(mean, -want):
            not_yet(f"the sign is the wrong way round: a gain is with dropout minus without. {told}")
        if not near(mean, want):
            if near(mean, float(with_dropout.max() - without.max())):
                not_yet(f"the best seed of each arm is luck, and comparing two of them compares luck. {told}")
            if near(mean, float(differences.max())):
                not_yet(f"this is the gain of the luckiest seed. Average over all of them. {told}")
            if near(mean, float(differences.median())):
                not_yet(f"this is the median of the differences; the exercise asks for their mean. {told}")
            not_yet(f"the first number is the mean over seeds of (with dropout minus without). {told}")
        if near(error, right):
            continue
        apart = math.sqrt(float(with_dropout.var() + without.var()) / n)
        if near(error, apart):
            not_yet(
                "this is the standard error of two independent groups. Here seed i of both arms shares its split, its "
                f"wrong labels and its start: take differences first, then their deviation. {told}"
            )
        if near(error, deviation):
            not_yet(
                f"this is how much single differences vary. Their mean varies less, by the root of their number. {told}"
            )
        if near(error, float(differences.std(correction=0)) / math.sqrt(n)):
            not_yet(
                f"the deviation is estimated from {n} differences around their own mean: divide the sum of squares by "
                f"{n} − 1, not by {n}. {told}"
            )
        if near(error, deviation**2 / n):
            not_yet(f"this is the squared standard error: a root is missing. {told}")
        if near(error, right * 1.96, tolerance=0.01) or error > 2 * right:
            not_yet(f"the second number is the standard error itself, not the half-width of an interval. {told}")
        not_yet(f"the second number is the standard deviation of the differences over the root of their number. {told}")
    return "Paired: what the seeds share has cancelled."


# ---- find_rate


class Lab:
    """A pretended lab that answers at once: accuracies with a best rate of its own, lucky and unlucky seeds, and noise.

    Args:
        best: the best rate.
        key: decides about luck and noise; the same p and seed always give the same accuracy.
        budget: how many trainings are allowed.
    """

    def __init__(self, best: float, key: int, budget: int = 30) -> None:
        self._best, self._key, self._budget = best, key, budget
        self._trained: dict[tuple[float, int], float] = {}
        self._opened = 0

    def __repr__(self) -> str:
        return "a lab"

    def _noise(self, *what: object) -> float:
        return random.Random(f"{self._key} {what}").gauss(0, 1)

    def _accuracy(self, p: float, seed: int) -> float:
        if not isinstance(p, int | float) or not 0 <= p < 1:
            not_yet(f"p must be at least 0 and below 1; lab.validation was asked for {shown(p)}.")
        return 60 - 90 * (p - self._best) ** 2 + 15 * self._noise("split", seed)

    def validation(self, p: float, seed: int) -> float:
        """Trains one network at the rate p from this seed and returns its validation accuracy in percent."""
        p = p.item() if isinstance(p, Tensor) else p
        key = (round(p, 6) if isinstance(p, float) else p, int(seed))
        if key not in self._trained:
            if len(self._trained) == self._budget:
                not_yet(
                    f"the budget is spent: this was training number {self._budget + 1} of {self._budget}. Choose fewer "
                    "rates, or fewer seeds, or look coarsely first and closely later."
                )
            self._trained[key] = self._accuracy(p, seed) + 0.5 * self._noise("validation", *key)
        return self._trained[key]

    def test(self, p: float, seed: int) -> float:
        """Returns the test accuracy in percent, and remembers that it was looked at."""
        self._opened += 1
        return self._accuracy(p, seed) + 0.5 * self._noise("test", p, seed)

    def shares_seeds(self) -> bool:
        """Whether all rates were trained with one and the same set of seeds."""
        rates = {p for p, _ in self._trained}
        return len({frozenset(s for q, s in self._trained if q == p) for p in rates}) == 1


@exercise("ch09.find_rate")
def find_rate(answer: object, g: torch.Generator) -> str:
    """``find_rate(lab)`` -> a rate within 0.12 of the best, with 30 trainings, without the test set."""
    f = function(answer)
    for place in torch.randperm(12, generator=g).tolist():  # one best rate in each twelfth of the range
        lab = Lab(0.2 + 0.55 * (place + uniform(g, 0, 1)) / 12, integer(g, 0, 2**40))
        p = number(f(lab), "the rate that find_rate returns")
        if lab._opened:
            not_yet(
                f"the test set was opened {lab._opened} times. A rate that is chosen on it is not tested by it: choose "
                "by lab.validation alone."
            )
        if not lab._trained:
            not_yet(f"you return {p:g} without a single training. The best rate differs from lab to lab: measure.")
        if not 0 <= p < 1:
            not_yet(f"return the rate, a number from 0 to 1, not an accuracy; it was {p:.4g}.")
        if abs(p - lab._best) > 0.12:
            told = f"you chose {p:.2f} after {len(lab._trained)} trainings; the best rate was {lab._best:.2f}."
            seeds = {seed for _, seed in lab._trained}
            if len(seeds) > 1 and not lab.shares_seeds():
                not_yet(
                    f"{told} Seeds differ by some 15 points and your rates had different ones, so you compared luck. "
                    "Train every rate of a comparison with the same seeds."
                )
            not_yet(f"{told} Look at more rates, average over a few seeds, and take the highest mean.")
    return "Twelve labs, twelve sweet spots, and not one look at a test set."


# ---- needs_more_steps


class Budgets:
    """A pretended lab of twelve paired seeds: test accuracies for any rate and number of steps.

    Args:
        behind: by how much p = 0.8 is behind p = 0.5 at 800 and at 2400 steps, in points.
        gain: how much p = 0.5 gains from 800 to 2400 steps, in points.
        key: decides about the seeds.
    """

    def __init__(self, behind: tuple[float, float], gain: float, key: int) -> None:
        self._behind, self._gain = behind, gain
        g = torch.Generator().manual_seed(key)
        self._split = 3 * torch.randn(12, dtype=torch.float64, generator=g)
        noise = torch.randn(2, 12, dtype=torch.float64, generator=g)
        # Differences with exactly the stated mean and a standard error of 0.5: nobody's verdict hangs on luck.
        noise = noise - noise.mean(1, keepdim=True)
        self._noise = noise / noise.std(1, keepdim=True) * 0.5 * math.sqrt(12)
        self.asked: list[tuple[float, int]] = []

    def __call__(self, p: float, steps: int) -> Tensor:
        p, steps = float(p), int(steps)
        if p not in (0.5, 0.8) or steps not in (800, 2400):
            not_yet(f"this lab knows p = 0.5 and 0.8 after 800 and 2400 steps; train was asked for p = {p:g}, {steps}.")
        self.asked.append((p, steps))
        late = int(steps > 800)
        middle = 82 + late * self._gain + self._split
        return middle if p == 0.5 else middle - self._behind[late] + self._noise[late]


@exercise("ch09.needs_more_steps")
def needs_more_steps(answer: object, g: torch.Generator) -> str:
    """``needs_more_steps(train)`` -> whether p = 0.8 learns with more steps and is then no longer behind p = 0.5."""
    f = function(answer)
    cases = [
        ((14.0, 0.2), 0.5, True, "after 2400 steps p = 0.8 is level with p = 0.5: it needed more steps"),
        ((14.0, -4.0), 1.0, True, "after 2400 steps p = 0.8 is ahead of p = 0.5: it needed more steps"),
        ((40.0, 38.0), 0.0, False, "after 2400 steps p = 0.8 is as far behind p = 0.5 as before: it was too much"),
        (
            (12.0, 12.0),
            14.0,
            False,
            "p = 0.8 gains from more steps, but p = 0.5 gains as much: at equal steps it is as far behind as before",
        ),
        (
            (11.0, 0.0),
            -11.0,
            False,
            "p = 0.8 has not moved; it is level after 2400 steps only because p = 0.5 has got worse",
        ),
    ]
    for i in torch.randperm(len(cases), generator=g).tolist():
        behind, gain, want, why = cases[i]
        lab = Budgets(tuple(x * uniform(g, 0.95, 1.05) for x in behind), gain, integer(g, 0, 2**40))
        got = f(lab)
        if isinstance(got, Tensor) and got.numel() == 1:
            got = got.item()
        if got not in (True, False):
            not_yet(f"return True or False; it was {shown(got)}.")
        if bool(got) != want:
            if len({steps for _, steps in lab.asked}) < 2:
                not_yet(
                    "one budget cannot tell too much dropout from too little training: ask for 800 and for 2400 steps. "
                    f"Here, {why}."
                )
            if (0.5, 2400) not in lab.asked:
                not_yet(f"p = 0.5 must be given the same steps: compare at equal budgets. Here, {why}.")
            not_yet(
                f"you said {bool(got)}, but {why}. Take paired differences, and their standard error, at each budget."
            )
    return "Told apart: too much dropout, and too little training."
