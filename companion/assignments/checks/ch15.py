"""Chapter 15, when dropout hurts: a decision from two accuracies, a scheduler with its limits, a control, a review."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
    uniform,
)
from companion.experiments.protocol import load
from companion.experiments.when_dropout_hurts import COUNTS, STUDENTS, gains, name

# ---- decide

# Knows 97% of its training examples and loses by dropout all the same: too small to spare a unit. It breaks every rule
# that looks at accuracies alone, and is left out, as the exercise says.
EXCEPTION = ("8-8", 300, 0.0)


def clear_cases() -> list[tuple[str, float, float, float, float]]:
    """Settings where p = 0.2 clearly helped or cost: words, training accuracy, new accuracy, wrong labels, effect."""
    record, found = load("hurts-sweep"), []
    for student in STUDENTS:
        for wrong in (0.2, 0.0):
            effects = gains(record, student, wrong, 0.2)
            for count, row in zip(COUNTS, effects, strict=True):
                control = name(student, count, wrong, 0)
                effect = record.effect("test accuracy", name(student, count, wrong, 0.2), control)
                if (student, count, wrong) != EXCEPTION and effect.excludes_zero and abs(effect.mean) >= 1:
                    training, new = (record.mean(f"{part} accuracy", control).mean for part in ("training", "test"))
                    words = f"network {student}, {count:,} examples"
                    found.append((words, float(training), float(new), wrong, float(row.mean())))
    return found


@exercise("ch15.decide")
def decide(answer: object, g: torch.Generator) -> str:
    """``decide(training, new, wrong)`` -> whether dropout at 0.2 would help a network that scores so without it."""
    f, cases = function(answer), clear_cases()
    for i in torch.randperm(len(cases), generator=g).tolist():
        words, training, new, wrong, effect = cases[i]
        said = f(training, new, wrong)
        if isinstance(said, Tensor) and said.numel() == 1:
            said = said.item()
        if said not in (True, False):
            not_yet(f"return True or False; it was {shown(said)}.")
        if bool(said) == (effect > 0):
            continue
        told = (
            (
                f"with training {training:.1f}, new {new:.1f} and wrong {wrong:g} ({words}) you said {bool(said)}, but "
                f"p = 0.2 changed {effect:+.1f} points."
            )
            .replace("-", "−")
            .replace("8−8", "8-8")
            .replace("16−16", "16-16")
            .replace("64−64", "64-64")
        )
        if effect < 0 and training < 100 * (1 - wrong) - 2:
            not_yet(
                f"{told} The network does not even know its training examples as well as the rules would let it: it "
                "underfits."
            )
        if effect < 0:
            not_yet(f"{told} What it could have learned by heart is too little for dropout to be worth its price.")
        not_yet(
            f"{told} Treating its training examples like new ones it would score about {new * (1 - wrong):.0f}%. "
            "The rest it has learned by heart."
        )
    return f"{len(cases)} recorded settings, decided from what a network without dropout shows."


# ---- scheduler


class _Hidden(nn.Module):
    """Drops in its forward, where no module can be found."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 32)

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.linear(x), 0.5, self.training)


def _deep() -> nn.Sequential:
    """A model with four dropout modules of three classes, two of them inside other modules."""
    inner = nn.Sequential(
        nn.Linear(8, 8), nn.ReLU(), nn.Sequential(nn.AlphaDropout(0.3), nn.Linear(8, 8)), nn.Dropout(0.4)
    )
    maps = nn.Sequential(nn.Unflatten(1, (4, 2)), nn.Dropout1d(0.2), nn.Flatten())
    return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.1), inner, maps, nn.Linear(8, 3))


def _rates(model: nn.Module) -> list[float]:
    return [float(layer.p) for layer in model.modules() if "Dropout" in type(layer).__name__]


def _wanted(mode: str, p: float, stop: int, step: int) -> float:
    if mode == "ramp":
        return p * min(step / stop, 1)
    return p if (step < stop) == (mode == "early") else 0.0


def _refused(f: Answer, *args: object, what: str) -> None:
    error = f.error(*args)
    if error is None:
        not_yet(what)
    if not isinstance(error, ValueError):
        not_yet(f"{what} It raised {type(error).__name__}, which is another error: {error}")


@exercise("ch15.scheduler", allow={"torch"})
def scheduler(answer: object, g: torch.Generator) -> str:
    """``DropoutScheduler(model, p, stop, mode, x)``: rates of all dropout modules over training, and its refusals."""
    f = function(answer)
    x = torch.randn(16, 6, generator=g)
    for mode in ("early", "late", "ramp"):
        p, stop = uniform(g, 0.2, 0.6), integer(g, 3, 6)
        model = _deep()
        if isinstance(f.error(_deep(), p, stop, mode, x), ValueError):
            not_yet(
                "in this model all that drops are modules, of three classes and at several depths, and your scheduler "
                "refuses it: some are not reached, or not set to 0 while you try."
            )
        made = f(model, p, stop, mode, x)
        if not callable(getattr(made, "step", None)):
            not_yet(f"the scheduler must have a method step(); it is {shown(made)}.")
        for step in range(stop + 3):
            rates, want = _rates(model), _wanted(mode, p, stop, step)
            if not all(near(rate, want) for rate in rates):
                told = f"With mode {mode!r}, p = {p:g} and stop = {stop}, after {step} calls of step() the rates are "
                told += f"{[round(rate, 4) for rate in rates]}; all should be {want:.4g}."
                if any(near(rate, want) for rate in rates):
                    not_yet(f"some dropout modules are not reached: look in model.modules(), for all classes. {told}")
                other = {"early": "late", "late": "early"}.get(mode, mode)
                if mode != other and near(rates[0], _wanted(other, p, stop, step)) and step != stop:
                    not_yet(f"early is on before `stop` and off from there, late the other way round. {told}")
                if step == 0:
                    not_yet(f"the rate of step 0 must hold as soon as the scheduler is made. {told}")
                if step == stop:
                    not_yet(f"the change comes at `stop`: step `stop` is the first one behind it. {told}")
                not_yet(f"the ramp is p * step / stop, and from `stop` on it stays at p. {told}")
            made.step()
    _refused(f, _deep(), 0.3, 4, "erly", x, what="a mode that is none of the three must raise a ValueError.")
    plain = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
    _refused(f, plain, 0.3, 4, "early", x, what="a model without any dropout module must raise a ValueError.")
    for training in (True, False):
        mixed = nn.Sequential(_Hidden(), nn.Dropout(0.2)).train(training)
        where = "" if training else " (this model was in evaluation mode, so nothing dropped until it was switched)"
        _refused(
            f,
            mixed,
            0.3,
            4,
            "late",
            x,
            what="this model also drops with F.dropout in a forward, which no module controls: raise a ValueError. "
            f"Try it in training mode with all rates at 0{where}.",
        )
    model = _deep()
    model[2].eval()
    before = [module.training for module in model.modules()]
    f(model, 0.3, 4, "early", x)
    if [module.training for module in model.modules()] != before:
        not_yet(
            "a part of this model was frozen in evaluation mode, and another part was not. After the scheduler "
            "was made the modes are others: put each module back as you found it."
        )
    return "All modules, at every depth, over all steps; and what cannot be reached is refused."


# ---- control


class Lab:
    """A pretended lab of twelve seeds that takes down a prediction and counts what was trained.

    Args:
        effect: the mean effect of p = 0.1, in points; its standard error is 0.25 exactly.
        g: source of splits and noise.
    """

    def __init__(self, effect: float, g: torch.Generator) -> None:
        self.seeds = sorted(torch.randperm(1000, generator=g)[:12].tolist())
        noise = torch.randn(12, dtype=torch.float64, generator=g)
        noise = (noise - noise.mean()) / noise.std() * 0.25 * math.sqrt(12)
        split = 80 + 5 * torch.randn(12, dtype=torch.float64, generator=g)
        self._without = dict(zip(self.seeds, split.tolist(), strict=True))
        self._with = dict(zip(self.seeds, (split + effect + noise).tolist(), strict=True))
        self.predicted: list[str] = []
        self.trained: set[tuple[float, int]] = set()

    def __repr__(self) -> str:
        return "a lab"

    def predict(self, sign: str) -> None:
        """Takes down what is expected, once, before the first training."""
        if sign not in ("+", "-", "0"):
            not_yet(f'lab.predict takes "+", "-" or "0"; it got {shown(sign)}.')
        if self.trained:
            not_yet(
                "the prediction came after the first training. Now it is no prediction any more: write it down first."
            )
        self.predicted.append(sign)

    def train(self, p: float, seed: int) -> float:
        """Trains one network and returns its test accuracy in percent."""
        p, seed = float(p), int(seed)
        if not self.predicted:
            not_yet("the lab does not train before you have written down what you expect: call lab.predict first.")
        if p not in (0.0, 0.1) or seed not in self._without:
            not_yet(
                f"this lab trains p = 0 and p = 0.1 with seeds of lab.seeds; it was asked for p = {p:g}, seed {seed}."
            )
        self.trained.add((p, seed))
        return (self._with if p else self._without)[seed]


@exercise("ch15.control")
def control(answer: object, g: torch.Generator) -> str:
    """``control(lab)`` -> "+", "-" or "0": the verdict of twelve paired seeds, after a prediction."""
    f = function(answer)
    cases = [("+", 1.0), ("-", -1.0), ("0", 0.3), ("0", -0.3), ("+", 0.7), ("-", -0.7)]
    for i in torch.randperm(len(cases), generator=g).tolist():
        want, effect = cases[i]
        lab = Lab(effect * uniform(g, 0.97, 1.03), g)
        got = f(lab)
        if got not in ("+", "-", "0"):
            not_yet(f'return "+", "-" or "0"; it was {shown(got)}.')
        if len(lab.predicted) > 1:
            not_yet(
                f"you predicted {len(lab.predicted)} times. One prediction, written down before the first training."
            )
        missing = [p for p in (0.0, 0.1) for seed in lab.seeds if (p, seed) not in lab.trained]
        if missing:
            if len(missing) == 24:
                not_yet("nothing was trained. A prediction alone is no verdict.")
            if missing.count(0.0) == 12:
                not_yet("the control is missing: train p = 0 as well, with the same seeds.")
            not_yet(f"{len(missing)} of 24 trainings are missing: both rates with all of lab.seeds, paired.")
        if got != want:
            told = f"The paired difference is {effect:+.1f} points with a standard error of 0.25, and you said {got!r}."
            told = told.replace("-0", "−0").replace("-1", "−1").replace("+-", "−")
            if {got, want} == {"+", "-"}:
                not_yet(f"the sign is the wrong way round: p = 0.1 minus p = 0. {told}")
            if want == "0":
                not_yet(f"an effect within two standard errors of zero leaves the sign open. {told}")
            not_yet(
                f"this effect is more than two standard errors away from zero. Take the differences seed by seed (the "
                f"splits differ by far more than dropout does), and the standard error of their mean. {told}"
            )
    return "Predicted first, paired, and judged by the interval."


# ---- review


def _spread(before: float, after: float) -> float:
    first, second = before / 100, after / 100
    return first * (1 - first) + second * (1 - second)


@exercise("ch15.review")
def review(answer: object, g: torch.Generator) -> str:
    """``review(before, after, n)`` -> z of two error rates in percent, and examples needed for z = 1.96."""
    f = function(answer)
    cases = [(1.8, 1.75, 26_032), (6.41, 5.25, 10_000)]
    for _ in range(4):
        before = uniform(g, 2, 40)
        cases.append(
            (before, round(before + uniform(g, 0.1, 1.5) * (1 if integer(g, 0, 1) else -1), 4), integer(g, 500, 60_000))
        )
    cases.append((30.0, 31.0, integer(g, 1000, 5000)))  # the error rose
    for before, after, n in cases:
        z, needed = numbers(f(before, after, n), 2, "what review returns")
        difference, spread = (before - after) / 100, _spread(before, after)
        want = difference / math.sqrt(spread / n)
        told = f"(For {before:g}% and {after:g}% on {n:,} examples you gave z = {z:.4g}.)".replace("-", "−")
        if not near(z, want, tolerance=2e-3):
            if near(z, -want, tolerance=2e-3):
                not_yet(f"z is positive if the error fell: before minus after. {told}")
            if near(z, difference / spread * n, tolerance=2e-3) or near(z, difference / (spread / n), tolerance=2e-3):
                not_yet(
                    f"you divided by the variance of the difference; its standard error is the root of that. {told}"
                )
            first = before / 100
            if near(z, difference / math.sqrt(first * (1 - first) / n), tolerance=2e-3):
                not_yet(f"both error rates are measured, so both are uncertain: add their variances. {told}")
            if not math.isfinite(z) or abs(z) < abs(want) / 10 or abs(z) > 10 * abs(want):
                not_yet(f"the formula wants shares: 1.8% is 0.018. {told}")
            not_yet(f"z is the difference of the shares over the root of the sum of both e (1 − e) / n. {told}")
        right = math.ceil(1.96**2 * spread / difference**2)
        told = f"(For {before:g}% and {after:g}% you gave {needed:,.6g} examples.)"
        if abs(needed - right) <= max(1, 1e-6 * right) and needed >= 1.96**2 * spread / difference**2 * (1 - 1e-9):
            if number(needed, "the number of examples") != int(needed):
                not_yet(f"the second number counts examples: the smallest whole number that is large enough. {told}")
            continue
        if near(needed, 1.96 * spread / difference**2, tolerance=2e-3) or near(
            needed, n * 1.96 / abs(want), tolerance=2e-3
        ):
            not_yet(f"z grows with the root of n, so n grows with the square of z. {told}")
        if near(needed, right - 1, tolerance=1e-9) or (needed != right and near(needed, right, tolerance=2e-3)):
            not_yet(f"round up: with fewer examples than needed z stays below 1.96. {told}")
        if near(needed, right / 1.96**2, tolerance=2e-3):
            not_yet(f"that is where z would be 1; the question asks for 1.96. {told}")
        not_yet(f"solve z = 1.96 for n, with the same two rates. {told}")
    return "A table, read with its standard errors."
