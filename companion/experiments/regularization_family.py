r"""Chapter 14: the rest of the family. What each regularizer does to a weight, exactly; and all of them on one task.

Signs predicted before running. L2 in the gradient and decoupled decay agree for plain gradient descent and for nothing
else; with Adam the first hardly touches weights with large gradients. L1 gives exact zeros by its proximal step only,
and it finds useless inputs, which L2 does not. Label smoothing mends an over-confident network and spoils a calibrated
one. In linear regression dropout, a ridge and early stopping predict about equally well. On wrong labels every member
of the family gains, if its strength is chosen; a usual default does nothing in a short training.

What is exact stands first. :func:`family` is the fair comparison: one network, one budget, five strengths for each
regularizer, chosen on validation images; :func:`cosine` is its control for AdamW.
"""

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.data import Examples, Task, digits, table
from companion.ensembles import enumerate_masks
from companion.experiments.co_adaptation import dropout_regression
from companion.experiments.overfitting_lab import HIDDEN, STEPS, best_arms
from companion.experiments.protocol import Found, Record, by_arm, in_blocks, make_record
from companion.models import StackedMLP
from companion.penalties import l1_penalty, l2_penalty, max_norm_, soft_threshold_
from companion.training import Optimizer, adam, cosine_adam, cross_entropy, evaluate, train
from companion.uncertainty import expected_calibration_error

__all__ = [
    "EXPERIMENTS",
    "FEATURES",
    "METHODS",
    "PAIRS",
    "Knob",
    "best_gap",
    "cosine",
    "diabetes",
    "family",
    "fixed_point",
    "half_life",
    "kept_by_ridge",
    "kept_by_stopping",
    "logistic_data",
    "logistic_paths",
    "logistic_penalty",
    "noise",
    "settled",
    "smoothing",
    "sparse_regression",
    "sparsity",
    "step",
]

How = Literal["L2", "decoupled"]

# --- exact: one weight ----------------------------------------------------------------------------------------------


def step(optimizer: type[torch.optim.Optimizer], weight: float, gradients: Sequence[float], **settings) -> list[float]:
    """What an optimizer of torch makes of one weight, step by step, in 64 bits.

    Args:
        optimizer: class of the optimizer, for example ``torch.optim.AdamW``.
        weight: the weight before the first step.
        gradients: the gradient of the loss at each step.
        settings: passed to the optimizer.
    """
    w = nn.Parameter(torch.tensor(weight, dtype=torch.float64))
    made, seen = optimizer([w], **settings), []
    for gradient in gradients:
        w.grad = torch.tensor(gradient, dtype=torch.float64)
        made.step()
        seen.append(float(w.detach()))
    return seen


def fixed_point(curvature: float, strength: float, momentum: float, how: How) -> float:
    r"""Where gradient descent with momentum settles on :math:`\frac{h}{2}(w-1)^2` under L2 or decoupled decay.

    :math:`h/(h+\lambda)` with :math:`\lambda w` in the gradient, :math:`h/(h+(1-\mu)\lambda)` with decoupled decay.
    """
    pull = strength if how == "L2" else (1 - momentum) * strength
    return curvature / (curvature + pull)


def settled(
    curvature: float, strength: float, momentum: float, how: How, *, lr: float = 0.1, steps: int = 1500
) -> float:
    """The same by running it: ``steps`` steps of torch's optimizer on one weight, in 64 bits."""
    w = nn.Parameter(torch.tensor(0.0, dtype=torch.float64))
    optimizer = torch.optim.SGD([w], lr=lr, momentum=momentum, weight_decay=strength if how == "L2" else 0.0)
    for _ in range(steps):
        w.grad = curvature * (w.detach() - 1)
        if how == "decoupled":
            _shrink([w], lr * strength)
        optimizer.step()
    return float(w.detach())


def half_life(lr: float, decay: float) -> int:
    """Steps after which decay alone has halved a weight."""
    return math.ceil(math.log(2) / -math.log1p(-lr * decay))


def kept_by_ridge(e: Tensor, strength: float) -> Tensor:
    """Share of the least-squares weight that a ridge leaves in a direction of curvature e."""
    return e / (e + strength)


def kept_by_stopping(e: Tensor, steps: int, lr: float) -> Tensor:
    """Share that is reached after some steps of gradient descent from zero in a direction of curvature e."""
    return 1 - (1 - lr * e) ** steps


def best_gap(smoothing: float, classes: int) -> float:
    r"""Gap between the right logit and the others that is best under label smoothing.

    .. math:: \ln \frac{1 - \varepsilon + \varepsilon/K}{\varepsilon/K}
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must be in [0, 1), got {smoothing}")
    off = smoothing / classes
    return math.log((1 - smoothing + off) / off) if off else math.inf


# --- exact: regressions ---------------------------------------------------------------------------------------------


def sparse_regression(
    seeds: Sequence[int] = range(20),
    n: int = 100,
    features: int = 20,
    useful: int = 3,
    deviation: float = 0.5,
    lr: float = 0.1,
    steps: int = 2000,
) -> dict[str, Tensor]:
    r"""L1 on linear regressions of which most features are useless, by a step on its gradient and by its proximal step.

    The loss is :math:`\frac{1}{2n}\lVert y - Xw\rVert^2 + \lambda\lVert w\rVert_1` with
    :math:`\lambda = \sigma\sqrt{2\ln d/n}`; the ridge has the same strength.

    Args:
        seeds: one data set a seed.
        n: examples of a data set.
        features: d, of which the first ``useful`` have the weight 1 and the others 0.
        useful: see ``features``.
        deviation: :math:`\sigma` of the noise on the target.
        lr: learning rate.
        steps: number of steps of gradient descent.

    Returns:
        Method -> weights, Tensor[seeds, features], float64.
    """
    draws = [torch.randn(n, features + 1, dtype=torch.float64, generator=_generator(seed)) for seed in seeds]
    x, extra = torch.stack(draws).split([features, 1], -1)
    y = x[..., :useful].sum(-1, keepdim=True) + deviation * extra
    gram, target = x.mT @ x / n, x.mT @ y / n
    strength = deviation * math.sqrt(2 * math.log(features) / n)
    in_loss, proximal = torch.zeros_like(target), torch.zeros_like(target)
    for _ in range(steps):
        in_loss -= lr * (gram @ in_loss - target + strength * in_loss.sign())
        proximal -= lr * (gram @ proximal - target)
        soft_threshold_(proximal, lr * strength)
    ridge = torch.linalg.solve(gram + strength * torch.eye(features, dtype=torch.float64), target)
    return {"L1 in the loss": in_loss[..., 0], "L1, proximal step": proximal[..., 0], "L2": ridge[..., 0]}


def logistic_penalty(x: Tensor, w: Tensor, p: float) -> tuple[float, float]:
    r"""What dropout on the inputs adds to the loss of logistic regression: exactly, and to second order.

    With :math:`A(u) = \ln(1+e^u)` it is, whatever the labels,

    .. math:: \sum_i \Big( \mathbb{E}_m A\big(\textstyle\sum_j \tfrac{m_j}{k} x_{ij} w_j\big) - A(x_i \cdot w) \Big)
              \approx \tfrac{p}{2k} \sum_i q_i (1-q_i) \sum_j x_{ij}^2 w_j^2, \qquad q_i = A'(x_i \cdot w).

    Args:
        x: Tensor[n, features].
        w: Tensor[features].
        p: probability of dropping an input, below 1.

    Returns:
        The penalty by enumeration of all masks, and its quadratic approximation.

    Reference: Wager et al. (2013), sec. 2.
    """
    masks, probability = enumerate_masks(x.shape[1], p)
    sums = (masks.to(x.dtype) * w / (1 - p)) @ x.T  # masks, n
    clean = x @ w
    exact = probability.to(x.dtype) @ (F.softplus(sums) - F.softplus(clean)).sum(1)
    q = clean.sigmoid()
    quadratic = p / (2 * (1 - p)) * (q * (1 - q) * (x.square() @ w.square())).sum()
    return float(exact), float(quadratic)


@dataclass(frozen=True)
class Knob:
    """A regularizer of the logistic regression of :func:`logistic_paths`: its strengths, weakest first, and weights.

    Args:
        strengths: one a position of the knob; the first stands for none.
        weights: Tensor[strengths, features], float64.
    """

    strengths: tuple[float, ...]
    weights: Tensor


# Features of the logistic regression: a clear one; one just as clear whose unit is five times as large, so that its
# numbers are small; two that are nearly copies of each other; two of no use.
FEATURES = ("clear", "small numbers", "copy 1", "copy 2", "noise 1", "noise 2")
RATES = tuple(i / 20 for i in range(1, 19))  # of dropout and of label smoothing


def logistic_data(n: int = 50, seed: int = 14) -> tuple[Tensor, Tensor]:
    """Points with the six ``FEATURES`` and labels that follow a logistic model: Tensor[n, 6] and Tensor[n]."""
    g = _generator(seed)
    base = torch.randn(n, 6, dtype=torch.float64, generator=g)
    labels = torch.rand(n, dtype=torch.float64, generator=g) < (1.5 * base[:, :3].sum(1)).sigmoid()
    copies = base[:, 2:3] + 0.3 * torch.randn(n, 2, dtype=torch.float64, generator=g)
    x = torch.cat([base[:, :1], base[:, 1:2] / 5, copies, base[:, 3:5]], 1)
    return x - x.mean(0), labels.double()


def logistic_paths(x: Tensor, y: Tensor) -> dict[str, Knob]:
    """Weights of a logistic regression without intercept under six regularizers, at 19 strengths each.

    Dropout is minimised over all masks by enumeration; L2 and label smoothing by Newton's method; L1 by its proximal
    step; early stopping is gradient descent from zero, stopped; AdamW is run on batches of ten, and the mean of the
    second half of its steps is taken.

    Args:
        x: Tensor[n, features], float64.
        y: Tensor[n] of 0.0 and 1.0.
    """
    none = _newton(x, y)
    powers = tuple(10 ** (i / 6 - 3) for i in range(18))  # 0.001 to 0.68

    def with_none(strengths: Sequence[float], weights: Sequence[Tensor] | Tensor, first: float = 0.0) -> Knob:
        return Knob((first, *strengths), torch.stack([none, *weights]))

    def dropped(p: float) -> Tensor:
        masks, probability = enumerate_masks(x.shape[1], p)
        rows = (masks.double()[:, None] * x / (1 - p)).flatten(0, 1)
        return _newton(rows, y.repeat(len(masks)), probability.double().repeat_interleave(len(x)))

    decays = tuple(100 * power for power in powers)
    moments = tuple(round(1500 / 1.45**i) for i in range(18))
    return {
        "dropout": with_none(RATES, [dropped(p) for p in RATES]),
        "L2": with_none(powers, [_newton(x, y, ridge=power) for power in powers]),
        "AdamW": with_none(decays, _adamw(x, y, decays)),
        "L1": with_none(powers, _proximal(x, y, powers)),
        "early stopping": with_none(moments, _stopped(x, y, moments), math.inf),
        "label smoothing": with_none(RATES, [_newton(x, (1 - e) * y + e / 2) for e in RATES]),
    }


def _newton(x: Tensor, y: Tensor, weight: Tensor | None = None, ridge: float = 0.0, steps: int = 50) -> Tensor:
    """Minimises the mean logistic loss plus ridge/2 times the sum of squares; ``weight`` are weights of the rows."""
    share = (torch.ones_like(y) if weight is None else weight) / (len(y) if weight is None else weight.sum())
    w = torch.zeros(x.shape[1], dtype=x.dtype)
    for _ in range(steps):
        q = (x @ w).sigmoid()
        gradient = x.T @ (share * (q - y)) + ridge * w
        curvature = x.T @ ((share * q * (1 - q))[:, None] * x) + ridge * torch.eye(len(w), dtype=x.dtype)
        w = w - torch.linalg.solve(curvature, gradient)
        if float(gradient.abs().max()) < 1e-12:
            return w
    raise ArithmeticError("Newton's method has not converged: perhaps the labels can be separated")


def _slope(x: Tensor, y: Tensor, w: Tensor) -> Tensor:
    """Gradient of the mean logistic loss for each row of ``w``."""
    return ((w @ x.T).sigmoid() - y) @ x / len(y)


def _proximal(x: Tensor, y: Tensor, strengths: Sequence[float], lr: float = 1.0, steps: int = 3000) -> Tensor:
    w, amount = torch.zeros(len(strengths), x.shape[1], dtype=x.dtype), lr * torch.tensor(strengths, dtype=x.dtype)
    for _ in range(steps):
        w -= lr * _slope(x, y, w)
        soft_threshold_(w, amount[:, None])
    return w


def _stopped(x: Tensor, y: Tensor, moments: Sequence[int], lr: float = 1.0) -> list[Tensor]:
    w, seen = torch.zeros(1, x.shape[1], dtype=x.dtype), {}
    for done in range(1, max(moments) + 1):
        w = w - lr * _slope(x, y, w)
        seen[done] = w[0]
    return [seen[moment] for moment in moments]


def _adamw(x: Tensor, y: Tensor, decays: Sequence[float], lr: float = 0.02, steps: int = 2000) -> Tensor:
    w = nn.Parameter(torch.zeros(len(decays), x.shape[1], dtype=x.dtype))
    optimizer, mean = torch.optim.Adam([w], lr=lr), torch.zeros_like(w)
    decay, generator = torch.tensor(decays, dtype=x.dtype)[:, None], _generator(0)
    for done in range(steps):
        chosen = torch.randint(len(x), (10,), generator=generator)
        w.grad = _slope(x[chosen], y[chosen], w.detach())
        _shrink([w], lr * decay)
        optimizer.step()
        if done >= steps // 2:
            mean += w.detach() / (steps - steps // 2)
    return mean.detach()


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def _shrink(weights: Sequence[Tensor], amount: float | Tensor) -> None:
    """Decoupled decay: takes the share ``amount`` from every weight."""
    for weight in weights:
        weight.mul_(1 - amount)


# --- recorded: what is cheap ----------------------------------------------------------------------------------------


def diabetes(seeds: Sequence[int] = range(50), rates: Sequence[float] = RATES, few: int = 40) -> Record:
    r"""Dropout, a ridge and early stopping of a linear regression on real data, in closed form.

    Columns are standardised, so that dropout with rate p IS the ridge with :math:`\lambda = (n-1)\,p/k`. Early stopping
    is gradient descent from zero; it gets the number of steps t whose :math:`1/(\eta t)` comes nearest to each of those
    strengths. Each chooses among equally many strengths, by its error on validation rows. Predicted: both beat least
    squares, and do not differ from each other.

    Args:
        seeds: one split a seed.
        rates: the rates that dropout chooses from.
        few: rows to fit.
    """
    started = time.perf_counter()
    task = table("diabetes", seeds, n_train=few, n_validation=few, n_test=300)
    x, y = task.train.x.double(), task.train.y.double()
    strengths = [(few - 1) * p / (1 - p) for p in rates]
    e, basis = torch.linalg.eigh(x.mT @ x)
    target = (basis.mT @ (x.mT @ y[..., None]))[..., 0] / e  # least squares, in the directions of the data
    lr = 0.1 / e.amax(-1, keepdim=True)

    def back(kept: Tensor) -> Tensor:
        return (basis @ (kept * target)[..., None])[..., 0]

    found = {
        "dropout": [dropout_regression(x, y, p) for p in rates],
        "early stopping": [
            back(1 - (1 - lr * e) ** (1 / (lr * strength)).round().clamp(min=1)) for strength in strengths
        ],
    }
    for weights, strength in zip(found["dropout"], strengths, strict=True):  # the theorem, on these data
        torch.testing.assert_close(weights, back(kept_by_ridge(e, strength)), rtol=1e-4, atol=1e-6)

    def error(weights: Tensor, examples: Examples) -> Tensor:
        rest = examples.y.double() - (examples.x.double() @ weights[..., None])[..., 0]
        return rest.square().mean(1) / examples.y.double().var(1, correction=0)

    best = {name: torch.stack([error(w, task.validation) for w in ways]).argmin(0) for name, ways in found.items()}
    test = task.test.open()
    errors = {name: torch.stack([error(w, test) for w in ways]) for name, ways in found.items()}
    plain = error(back(torch.ones_like(e)), test)
    chosen = {name: rows[best[name], range(len(task.seeds))] for name, rows in errors.items()}
    return make_record(
        "family-diabetes",
        started=started,
        task=f"diabetes, {few} rows to fit, {few} to choose the strength on, 300 to test",
        arms=("least squares", *found),
        seeds=task.seeds,
        budget={"strengths": len(rates)},
        metrics={"unexplained": {"least squares": plain} | chosen},
        units={"unexplained": ""},
        curves={
            "unexplained": {"x": strengths, "least squares": [float(plain.mean())] * len(rates)}
            | {name: rows.mean(1) for name, rows in errors.items()},
        },
    )


def noise(
    seeds: Sequence[int] = range(12),
    scales: Sequence[float] = (0.01, 0.03, 0.1, 0.3, 1.0),
    weights: int = 1000,
    lr: float = 0.01,
    decay: float = 0.1,
    steps: int = 1000,
) -> Record:
    r"""Weights whose gradients are nothing but noise of several sizes: what is left of them after a while?

    All weights start at 1. Decay alone leaves :math:`(1-\eta\lambda)^t`. Predicted: AdamW and plain SGD leave that,
    whatever the scale; Adam with L2 leaves the less, the smaller the gradients.

    Args:
        seeds: paired seeds: all optimizers see the same gradients.
        scales: standard deviations of the gradients.
        weights: number of weights for each scale.
        lr: learning rate.
        decay: strength.
        steps: number of steps.
    """
    started = time.perf_counter()
    kinds = {"SGD + L2": torch.optim.SGD, "Adam + L2": torch.optim.Adam, "AdamW": torch.optim.AdamW}
    held = {arm: nn.Parameter(torch.ones(len(seeds), len(scales), weights)) for arm in kinds}
    optimizers = [kinds[arm]([w], lr=lr, weight_decay=decay) for arm, w in held.items()]
    generators, size = [_generator(seed) for seed in seeds], torch.tensor(scales)[:, None]
    for _ in range(steps):
        gradient = size * torch.stack([torch.randn(len(scales), weights, generator=g) for g in generators])
        for w in held.values():
            w.grad = gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    left = {arm: w.detach().double().mean(-1) for arm, w in held.items()}
    return make_record(
        "family-noise",
        started=started,
        task=f"{weights} weights a scale, all 1 at the start, gradients of pure noise",
        arms=tuple(kinds),
        seeds=seeds,
        budget={"steps": steps, "learning rate": lr, "decay": decay},
        metrics={
            f"left, gradients of {scale:g}": {arm: values[:, i] for arm, values in left.items()}
            for i, scale in enumerate(scales)
        },
        tolerance={f"left, gradients of {scale:g}": 1e-3 for scale in scales},
    )


def sparsity(
    seeds: Sequence[int] = range(12),
    useless: int = 64,
    l1: float = 3e-3,
    l2: float = 1e-2,
    lr: float = 0.05,
    steps: int = 1500,
) -> Record:
    """Digits with as many useless inputs as pixels: do the weights of the first layer find out?

    Plain gradient descent, so that L1 in the loss and its proximal step have the same strength in the same sense. The
    penalty is on the first layer. Predicted: only the proximal step gives weights that are exactly zero; both kinds of
    L1 take weight away from the useless inputs, L2 does not.

    Args:
        seeds: paired seeds.
        useless: number of useless inputs, uniform in [0, 1] like pixels.
        l1, l2: strengths.
        lr: learning rate.
        steps: optimizer steps.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=400, noise=0.0)
    test = task.test.open()
    training, test = (_with_useless(examples, task.seeds, useless) for examples in (task.train, test))
    arms = ("none", "L2", "L1 in the loss", "L1, proximal step")
    net = StackedMLP((64 + useless, 64, 10), task.seeds, (0.0,) * len(arms))
    place = {arm: torch.tensor([arm == a for a in arms]).repeat_interleave(len(task.seeds)).float() for arm in arms}

    def objective(model: StackedMLP, x: Tensor, y: Tensor) -> Tensor:
        first = model.weights[0]
        penalty = l2_penalty(first, l2 * place["L2"]) + l1_penalty(first, l1 * place["L1 in the loss"])
        return cross_entropy(model, x, y) + penalty.sum()

    def optimizer(parameters) -> torch.optim.Optimizer:
        made = torch.optim.SGD(parameters, lr=lr)
        amount = lr * l1 * place["L1, proximal step"][:, None, None]
        made.register_step_post_hook(lambda *_: soft_threshold_(net.weights[0], amount))
        return made

    train(net, training, steps=steps, objective=objective, optimizer=optimizer, progress="useless inputs")
    size = net.weights[0].detach().abs()
    shape = (len(arms), len(task.seeds))
    values = {
        "exact zeros": 100 * (size == 0).double().mean((1, 2)).view(shape),
        "below 0.001": 100 * (size < 1e-3).double().mean((1, 2)).view(shape),
        "share of useless inputs": 100 * (size[:, 64:].sum((1, 2)) / size.sum((1, 2))).double().view(shape),
        "accuracy": 100 * evaluate(net, test)["accuracy"],
    }
    return make_record(
        "family-sparsity",
        started=started,
        task=f"digits, 400 images, all labels right, {useless} useless inputs more",
        arms=arms,
        seeds=task.seeds,
        budget={"steps": steps, "batch": 50, "SGD": lr, "L1": l1, "L2": l2},
        metrics={name: by_arm(arms, rows) for name, rows in values.items()},
        units={name: "%" for name in values},
        tolerance={"exact zeros": 0.5, "below 0.001": 0.5},
    )


def _with_useless(examples: Examples, seeds: Sequence[int], useless: int) -> Examples:
    shape = (len(examples), useless)
    offset = 0 if examples.role == "train" else 1
    more = torch.stack([torch.rand(shape, generator=_generator(2 * seed + offset + 14_000)) for seed in seeds])
    return Examples(torch.cat([examples.x, more], -1), examples.y, examples.role)


def smoothing(
    seeds: Sequence[int] = range(12),
    kinds: Sequence[Literal["clean", "noisy"]] = ("noisy", "clean"),
    strengths: Sequence[float] = (0.0, 0.05, 0.1, 0.3),
    steps: int = STEPS,
) -> Record:
    """Calibration under label smoothing: of networks that are over-confident, and of networks that are not.

    The network of the overfitting lab, trained to the end. With one label in five wrong it memorises and is far too
    sure; with all labels right it is hardly so. Predicted: smoothing mends the first and spoils the second.

    Args:
        seeds: paired seeds.
        kinds: which training labels.
        strengths: how much is smoothed, one an arm.
        steps: optimizer steps.
    """
    started = time.perf_counter()
    names = ("accuracy", "confidence", "calibration error", "NLL")
    metrics: Found = {name: {} for name in names}
    for kind in kinds:
        task = digits(seeds, noise=0.2 if kind == "noisy" else 0.0)
        test = task.test.open()
        net = _fitted({"smoothing": strengths}, task, steps=steps, progress=f"{kind} labels")
        with torch.no_grad():
            chances = net(test.x).double().softmax(-1).view(len(strengths), len(seeds), len(test), -1)
        found = evaluate(net, test)
        errors = [[expected_calibration_error(c, y) for c, y in zip(row, test.y, strict=True)] for row in chances]
        values = (
            100 * found["accuracy"],
            100 * chances.amax(-1).mean(-1),
            100 * torch.tensor(errors, dtype=torch.float64),
            found["nll"],
        )
        for name, rows in zip(names, values, strict=True):
            metrics[name] |= by_arm([f"{kind}, ε = {strength:g}" for strength in strengths], rows)
    return make_record(
        "family-smoothing",
        started=started,
        task="digits, 300 images, all labels right (clean) or 20% of those for fitting wrong (noisy)",
        arms=tuple(metrics["NLL"]),
        seeds=task.seeds,
        budget={"steps": steps, "batch": 50, "Adam": 3e-3},
        metrics=metrics,
        units={name: "nats" if name == "NLL" else "%" for name in names},
    )


# --- the fair comparison --------------------------------------------------------------------------------------------

# Five tries for each: what is changed -> its five values. A pair keeps the partner at the middle of its own five.
METHODS: dict[str, dict[str, tuple[float, ...]]] = {
    "none": {"p": (0.0,)},
    "dropout": {"p": (0.1, 0.2, 0.3, 0.5, 0.7)},
    "Adam + L2": {"l2": (0.001, 0.003, 0.01, 0.03, 0.1)},
    "AdamW": {"decay": (0.1, 0.3, 1.0, 3.0, 10.0)},
    "L1": {"l1": (0.01, 0.03, 0.1, 0.3, 1.0)},
    "max-norm": {"norm": (0.5, 1.0, 1.5, 2.0, 3.0)},
    "early stopping": {"steps": (50, 100, 200, 400, 600)},
    "label smoothing": {"smoothing": (0.05, 0.1, 0.2, 0.4, 0.6)},
    "shifted images": {"shifted": (0.2, 0.4, 0.6, 0.8, 1.0)},
    "mixup": {"alpha": (0.1, 0.2, 0.5, 1.0, 2.0)},
    "dropout + max-norm": {"p": (0.1, 0.2, 0.3, 0.5, 0.7), "norm": (1.5,) * 5},
    "dropout + smoothing": {"p": (0.1, 0.2, 0.3, 0.5, 0.7), "smoothing": (0.2,) * 5},
    "dropout + shifted": {"p": (0.1, 0.2, 0.3, 0.5, 0.7), "shifted": (0.6,) * 5},
}
PAIRS = tuple(method for method, changes in METHODS.items() if len(changes) > 1)
DEFAULT_DECAY = 0.1  # of AdamW, the upper of the usual defaults; the first of its five tries


def _fitted(
    changes: Mapping[str, Sequence[float]],
    task: Task,
    *,
    steps: int,
    lr: float = 3e-3,
    falling: bool = False,
    hidden: Sequence[int] = HIDDEN,
    progress: str | None = None,
) -> StackedMLP:
    """Trains the network of the overfitting lab with some regularizers, one arm for each of their strengths.

    Args:
        changes: what is changed -> its value in every arm: "p" (dropout), "l2" (in the gradient), "decay" (decoupled),
            "l1" (proximal step), "norm" (largest norm of the weights into a unit), "steps" (stopped there),
            "smoothing" (of labels), "shifted" (share of images moved by a pixel), "alpha" (mixup). Penalties and limits
            concern weights, not biases.
        task: the task.
        steps: optimizer steps.
        lr: learning rate of Adam.
        falling: whether the rate falls to zero by half a cosine.
        hidden: units of the hidden layers.
        progress: label of a progress bar.
    """
    arms = len(next(iter(changes.values())))
    net = StackedMLP((64, *hidden, 10), task.seeds, changes.get("p", (0.0,) * arms))
    per_model = {
        name: torch.tensor(values, dtype=torch.float32).repeat_interleave(len(task.seeds))
        for name, values in changes.items()
    }
    settings = {"steps": steps, "progress": progress, "optimizer": _optimizer(net, per_model, lr, steps, falling)}
    if set(changes) & {"l2", "smoothing", "shifted", "alpha"}:
        settings["objective"] = _Objective(task.seeds, arms, per_model)
    if "steps" not in changes:
        return train(net, task.train, **settings)
    kept, every = copy.deepcopy(net), math.gcd(*(int(at) for at in changes["steps"]))

    def watch(net: StackedMLP, done: int) -> None:
        now = (per_model["steps"] == done)[:, None, None]
        for keep, weight in zip(kept.parameters(), net.parameters(), strict=True):
            keep.copy_(torch.where(now, weight, keep))

    train(net, task.train, **settings, watch=watch, watch_every=every)
    return kept


def _optimizer(net: StackedMLP, per_model: Mapping[str, Tensor], lr: float, steps: int, falling: bool) -> Optimizer:
    """Adam with what happens to the weights before a step (decay) and behind it (threshold, limit of the norm)."""
    shaped = {name: values[:, None, None] for name, values in per_model.items()}
    weights = list(net.weights)

    def rate(made: torch.optim.Optimizer) -> float:
        return made.param_groups[0]["lr"]

    def make(parameters) -> torch.optim.Optimizer:
        made = (cosine_adam(lr, steps) if falling else adam(lr))(parameters)
        if "decay" in shaped:
            made.register_step_pre_hook(lambda made, *_: _shrink(weights, rate(made) * shaped["decay"]))
        if "l1" in shaped:
            made.register_step_post_hook(lambda made, *_: soft_threshold_(weights, rate(made) * shaped["l1"]))
        if "norm" in shaped:
            made.register_step_post_hook(lambda *_: max_norm_(weights, shaped["norm"], (0, 2)))
        return made

    return make


class _Objective:
    """Cross-entropy with what is done to images and labels; every seed draws from a stream of its own."""

    def __init__(self, seeds: Sequence[int], arms: int, per_model: Mapping[str, Tensor]) -> None:
        self.arms, self.per_model = arms, per_model
        self.streams = [np.random.default_rng((14, seed)) for seed in seeds]

    def __call__(self, model: StackedMLP, x: Tensor, y: Tensor) -> Tensor:
        x, y = x.repeat(self.arms, 1, 1), y.repeat(self.arms, 1)
        other, share = y, torch.ones(y.shape)
        if "shifted" in self.per_model:
            x = self._shift(x)
        if "alpha" in self.per_model:
            x, other, share = self._mix(x, y)
        chances = model(x).log_softmax(-1)
        loss = -share * _at(chances, y) - (1 - share) * _at(chances, other)
        if "smoothing" in self.per_model:
            smooth = self.per_model["smoothing"][:, None]
            loss = (1 - smooth) * loss - smooth * chances.mean(-1)
        total = loss.mean(1)
        if "l2" in self.per_model:
            total = total + l2_penalty(model.weights, self.per_model["l2"])
        return total.sum()

    def _shift(self, x: Tensor) -> Tensor:
        """Moves a share of the images by one pixel, in one of eight directions; what comes in is empty."""
        draws = [(stream.random(x.shape[1]), stream.integers(8, size=x.shape[1])) for stream in self.streams]
        chance, direction = (torch.from_numpy(np.stack(part)).repeat(self.arms, 1) for part in zip(*draws, strict=True))
        padded = F.pad(x.view(*x.shape[:2], 8, 8), (1, 1, 1, 1))
        moved = [padded[..., i : i + 8, j : j + 8].flatten(2) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
        picked = torch.stack(moved).gather(0, direction[None, ..., None].expand(1, *x.shape))[0]
        return torch.where((chance < self.per_model["shifted"][:, None])[..., None], picked, x)

    def _mix(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mixes every image with another one of its batch; the share is drawn from Beta(alpha, alpha)."""
        alpha = self.per_model["alpha"].view(self.arms, -1)[:, :1].double().numpy()
        draws = [(s.permutation(x.shape[1]), s.beta(alpha, alpha, (self.arms, x.shape[1]))) for s in self.streams]
        partner = torch.from_numpy(np.stack([order for order, _ in draws])).repeat(self.arms, 1)
        share = torch.from_numpy(np.stack([shares for _, shares in draws], 1)).float().view(y.shape)
        mixed = share[..., None] * x + (1 - share[..., None]) * x.gather(1, partner[..., None].expand_as(x))
        return mixed, y.gather(1, partner), share


def _at(chances: Tensor, y: Tensor) -> Tensor:
    return chances.gather(-1, y[..., None])[..., 0]


def _compared(
    methods: Sequence[str], seeds: Sequence[int], steps: int, n_validation: int, hidden: Sequence[int], falling: bool
) -> Found:
    """Metric -> arm -> values: every method with the strength that is best on each seed's validation images."""

    def measure(block: Sequence[int]) -> Found:
        names = ("test accuracy", "NLL", "training accuracy", "validation accuracy", "strength")
        found: Found = {name: {} for name in names}
        for method in methods:
            changes = METHODS[method]
            task = digits(block, n_validation=n_validation)
            net = _fitted(changes, task, steps=steps, hidden=hidden, falling=falling, progress=method)
            best, at = best_arms(net, task.validation), range(len(block))
            test = evaluate(net, task.test.open())
            values = (
                100 * test["accuracy"],
                test["nll"],
                *(100 * evaluate(net, part)["accuracy"] for part in (task.train, task.validation)),
                torch.tensor(next(iter(changes.values())), dtype=torch.float64)[:, None].expand(-1, len(block)),
            )
            for name, rows in zip(names, values, strict=True):
                found[name][method] = rows[best, at]
            if method == "AdamW":
                default = changes["decay"].index(DEFAULT_DECAY)
                found["test accuracy"]["AdamW, 0.1"] = 100 * test["accuracy"][default]
        return found

    return in_blocks(measure, seeds)


def family(
    methods: Sequence[str] = tuple(METHODS),
    seeds: Sequence[int] = range(24),
    steps: int = STEPS,
    n_validation: int = 200,
    hidden: Sequence[int] = HIDDEN,
) -> Record:
    """The fair comparison: one network, one task, one budget, and five tries for every member of the family.

    For every seed and method the strength with the highest accuracy on validation images (with wrong labels among
    them, as in life) is taken; the test images are opened when all is decided. Predicted: all gain over none, the
    default decay does not; pairs gain a little over their members.

    Args:
        methods: keys of ``METHODS``; each is trained apart, so that it can be repeated alone.
        seeds: paired seeds, trained in blocks.
        steps: optimizer steps; early stopping takes fewer.
        n_validation: number of validation images.
        hidden: units of the hidden layers.
    """
    started = time.perf_counter()
    metrics = _compared(methods, seeds, steps, n_validation, hidden, falling=False)
    return make_record(
        "family",
        started=started,
        task=f"digits, 300 images, 20% of the labels for fitting wrong; {n_validation} more for validation",
        arms=tuple(metrics["test accuracy"]),
        seeds=seeds,
        budget={"steps": steps, "batch": 50, "Adam": 3e-3, "tries": 5},
        metrics=metrics,
        units={"test accuracy": "%", "NLL": "nats", "training accuracy": "%", "validation accuracy": "%"},
    )


def cosine(
    methods: Sequence[str] = ("none", "Adam + L2", "AdamW"),
    seeds: Sequence[int] = range(24),
    steps: int = STEPS,
    n_validation: int = 200,
    hidden: Sequence[int] = HIDDEN,
) -> Record:
    """AdamW against Adam with L2 once more, with a learning rate that falls to zero. Predicted: AdamW wins here, too.

    Args:
        methods, seeds, steps, n_validation, hidden: as in :func:`family`.
    """
    started = time.perf_counter()
    metrics = _compared(methods, seeds, steps, n_validation, hidden, falling=True)
    return make_record(
        "family-cosine",
        started=started,
        task=f"digits, 300 images, 20% of the labels for fitting wrong; {n_validation} more for validation",
        arms=tuple(metrics["test accuracy"]),
        seeds=seeds,
        budget={"steps": steps, "batch": 50, "Adam": "0.003, falling to 0 by a cosine", "tries": 5},
        metrics=metrics,
        units={"test accuracy": "%", "NLL": "nats", "training accuracy": "%", "validation accuracy": "%"},
    )


EXPERIMENTS: dict[str, Callable[[], Record]] = {
    "family": family,
    "family-cosine": cosine,
    "family-diabetes": diabetes,
    "family-noise": noise,
    "family-smoothing": smoothing,
    "family-sparsity": sparsity,
}
