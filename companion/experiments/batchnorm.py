r"""Chapter 11: how far the variance that a BatchNorm has stored is off at evaluation, and what that does.

Ratios are variance at evaluation over variance in training (or over the stored one). Signs predicted before running.
Directly behind a dropout the ratio is that of the formula, 0.40 to 0.44 for ReLU units at p = 0.5. With dropout after
every BatchNorm it is 1 at the first one and below 0.85 at the later ones, because each but the last dropout stands in
front of another BatchNorm. With one dropout after the last BatchNorm it is 1 within 0.02 everywhere. No sign is
predicted for the accuracy at p = 0.5; at 0.8 on partly wrong labels the shift should cost some. Estimating the
statistics anew with dropout off takes the shift away, and makes a network more confident: the loss should fall where
networks are unsure (wrong labels) and rise where they are too sure (clean labels, dropout in front of BatchNorm).

Settings, fixed before running: digits, 500 images, 1000 for testing; three hidden layers of 64, Adam 2e-3, 500 steps of
50; clean labels, or a fifth of them wrong. For networks that are too sure: layers of 128 on clean labels, 600 steps,
dropout between linear layer and BatchNorm. Every arm is trained apart, so that a chapter can repeat some.
"""

import copy
import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from companion.batchnorm import measure_shift, predicted_shift, recalibrate
from companion.data import digits
from companion.experiments.protocol import Record, make_record
from companion.layers.dropout import Dropout
from companion.models import StackedBatchNormMLP
from companion.training import adam, train

__all__ = [
    "EXPERIMENTS",
    "RATES",
    "SWAPS",
    "THREE_ORDERS",
    "activations",
    "arm_of",
    "behind_a_linear_layer",
    "clean",
    "confident",
    "directly_behind",
    "noisy",
    "pooled",
]

RATES = tuple(step / 10 for step in range(10))
LAYERS, WIDTH, STEPS, BATCH, LR = 3, 64, 500, 50, 2e-3
NORMS = range(1, LAYERS + 1)
THREE_ORDERS = ("dropout first", "norm first", "head only")
# What is put in place of the stored statistics; "stored" is what training left.
SWAPS = ("stored", "recalibrated", "variances only", "means only")

# --- one layer, without training --------------------------------------------------------------------------------------


def directly_behind(activation: Literal["identity", "relu", "gelu"], p: float, n: int = 1_000_000) -> float:
    """Measured ratio at a BatchNorm behind an activation of standard normal numbers and a dropout.

    Args:
        activation: "identity", "relu" or "gelu".
        p: probability of dropping.
        n: number of examples.
    """
    made = {"identity": nn.Identity, "relu": nn.ReLU, "gelu": nn.GELU}[activation]()
    return _measured(nn.Sequential(made, Dropout(p), nn.BatchNorm1d(1)), lambda g: torch.randn(n, 1, generator=g))


def behind_a_linear_layer(weight: Tensor, correlation: float, p: float, n: int = 40_000) -> tuple[float, float]:
    """Predicted and measured ratio at a BatchNorm behind dropout and a linear layer, for inputs of mean 0.

    Args:
        weight: Tensor[inputs], the weights.
        correlation: between any two of the inputs, which are normal with variance 1; in [0, 1].
        p: probability of dropping.
        n: number of examples.
    """
    linear = nn.Linear(len(weight), 1, bias=False)
    with torch.no_grad():
        linear.weight.copy_(weight)

    def inputs(g: torch.Generator) -> Tensor:
        shared, own = torch.randn(n, 1, generator=g), torch.randn(n, len(weight), generator=g)
        return math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own

    measured = _measured(nn.Sequential(Dropout(p), linear, nn.BatchNorm1d(1)), inputs)
    return float(predicted_shift(p, variance=1.0, weight=weight, correlation=correlation)), measured


class _Pool(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(2)


def pooled(p: float, cells: int = 49, n: int = 40_000) -> dict[str, tuple[float, float]]:
    """Dropout before and after the mean over the cells of a map: predicted and measured ratio of the pooled value.

    The cells are ReLUs of independent standard normal numbers.

    Args:
        p: probability of dropping.
        cells: number of cells of a map.
        n: number of maps.
    """
    mean, variance = 1 / math.sqrt(2 * math.pi), 1 / 2 - 1 / (2 * math.pi)
    share = torch.full((cells,), 1 / cells)
    nets = {"before": (Dropout(p), _Pool()), "after": (_Pool(), Dropout(p))}
    predicted = {
        "before": float(predicted_shift(p, mean=mean, variance=variance, weight=share)),
        "after": predicted_shift(p, mean=mean, variance=variance / cells),
    }
    return {
        place: (
            predicted[place],
            _measured(nn.Sequential(*net, nn.BatchNorm1d(1)), lambda g: torch.randn(n, 1, cells, generator=g).relu()),
        )
        for place, net in nets.items()
    }


def _measured(net: nn.Sequential, inputs: Callable[[torch.Generator], Tensor]) -> float:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)  # of the masks
        return measure_shift(net, [inputs(torch.Generator().manual_seed(1))])[-1].ratio


# --- trained networks -------------------------------------------------------------------------------------------------


def arm_of(order: str, p: float, activation: str = "relu") -> str:
    """Name of an arm: ``arm_of("head only", 0.5)`` is "head only, p = 0.5"."""
    prefix = "" if activation == "relu" else f"{activation}, "
    return f"{prefix}{order}, p = {p:g}"


def _predicted(net: nn.Sequential, x: Tensor, p: float) -> list[float]:
    """The ratio at every BatchNorm by the formula, median over units, from moments with dropout off.

    The formula knows the dropout just before the BatchNorm (and the linear layer between them), not those further up.
    """
    found, moments, weight = [], None, None
    for layer in net:
        if isinstance(layer, Dropout):
            moments, weight = (x.mean(0).double(), x.var(0).double()), None
        elif isinstance(layer, nn.Linear):
            weight = layer.weight.double()
        elif isinstance(layer, nn.BatchNorm1d):
            if moments is None:
                ratios = torch.ones(1)
            elif weight is None:  # directly behind a dropout
                ratios = predicted_shift(p, mean=moments[0], variance=moments[1])
            else:  # real inputs are not equally correlated, so the variance of the sum is that of the network
                variance = x.var(0).double()
                added = p / (1 - p) * (weight**2 @ (moments[0] ** 2 + moments[1]))
                ratios = variance / (variance + added)
            found.append(float(ratios.nanquantile(0.5)))
        x = layer(x)
    return found


def _swapped(net: nn.Sequential, images: Tensor) -> dict[str, nn.Sequential]:
    """The network with each kind of statistics of :data:`SWAPS`."""
    nets = {swap: copy.deepcopy(net) for swap in SWAPS}
    recalibrate(nets["recalibrated"], [images], exact=True)
    norms = ([layer for layer in nets[swap] if isinstance(layer, nn.BatchNorm1d)] for swap in SWAPS[1:])
    for new, variances, means in zip(*norms, strict=True):
        variances.running_var.copy_(new.running_var)
        means.running_mean.copy_(new.running_mean)
    return nets


@torch.no_grad()
def _ratios(net: nn.Sequential, images: Tensor, p: float) -> dict[str, float]:
    found = {}
    rows = measure_shift(net, [images])
    for i, (row, predicted) in enumerate(zip(rows, _predicted(net, images, p), strict=True), start=1):
        live = row.variance_off > 0  # a unit that is off for all images has no ratio
        measured = float((row.variance_off[live] / row.running_variance[live]).quantile(0.5))
        found |= {f"ratio at BN {i}": measured, f"predicted at BN {i}": predicted}
    return found


@torch.no_grad()
def _predictions(net: nn.Sequential, images: Tensor, x: Tensor, y: Tensor) -> dict[str, float]:
    found = {}
    for swap, changed in _swapped(net, images).items():
        logs = changed(x).double().log_softmax(-1)
        accuracy = float(100 * (logs.argmax(-1) == y).double().mean())
        found |= {
            f"accuracy, {swap}": accuracy,
            f"NLL, {swap}": float(-logs.gather(-1, y[:, None]).mean()),
            # How much surer of its answers the network is than it may be.
            f"overconfidence, {swap}": float(100 * logs.amax(-1).exp().mean()) - accuracy,
        }
    return found


def _measure(
    name: str,
    noise: float,
    activations: Sequence[str],
    orders: Sequence[str],
    rates: Sequence[float],
    seeds: Sequence[int],
    steps: int,
    width: int = WIDTH,
    predictions: bool = True,
) -> Record:
    started = time.perf_counter()
    task = digits(seeds, n_train=500, n_test=1000, noise=noise)
    test = task.test.open()
    metrics: dict[str, dict[str, list[float]]] = {}
    arms = []
    for activation, order, p in itertools.product(activations, orders, rates):
        arms.append(arm_of(order, p, activation))
        stack = StackedBatchNormMLP((64, *[width] * LAYERS, 10), task.seeds, (p,), order=order, activation=activation)
        train(stack, task.train, steps=steps, batch=BATCH, optimizer=adam(LR), progress=arms[-1])
        for seed in range(len(seeds)):
            net, images = stack.single(seed), task.train.x[seed]
            found = _ratios(net, images, p)
            if predictions:
                found |= _predictions(net, images, test.x[seed], test.y[seed])
            for metric, value in found.items():
                metrics.setdefault(metric, {}).setdefault(arms[-1], []).append(value)
    units = {"accuracy": "%", "NLL": "nats", "overconfidence": "%"}
    return make_record(
        name,
        started=started,
        task=task.name,
        arms=arms,
        seeds=seeds,
        budget={"steps": steps, "batch": BATCH, "Adam": LR, "hidden layers": LAYERS, "width": width},
        metrics=metrics,
        units={metric: units[kind] for metric in metrics if (kind := metric.split(",")[0]) in units},
        # The stored variances are means over the last batches, and drift apart first on another processor.
        tolerance={f"ratio at BN {i}": 0.02 for i in NORMS},
    )


def clean(
    orders: Sequence[str] = THREE_ORDERS,
    rates: Sequence[float] = RATES,
    seeds: Sequence[int] = range(8),
    steps: int = STEPS,
) -> Record:
    """ReLU networks on right labels: the ratio at every BatchNorm, and predictions with other statistics swapped in.

    Args:
        orders: some of ``companion.models.ORDERS``; every order and rate is an arm.
        rates: probabilities of dropping.
        seeds: paired seeds.
        steps: optimizer steps.
    """
    return _measure("batchnorm-clean", 0.0, ("relu",), orders, rates, seeds, steps)


def noisy(
    orders: Sequence[str] = THREE_ORDERS,
    rates: Sequence[float] = (0.5, 0.8),
    seeds: Sequence[int] = range(10),
    steps: int = STEPS,
) -> Record:
    """:func:`clean` with a fifth of the labels for fitting wrong, so that the networks are unsure."""
    return _measure("batchnorm-noisy", 0.2, ("relu",), orders, rates, seeds, steps)


def confident(
    rates: Sequence[float] = (0.5, 0.8), seeds: Sequence[int] = range(10), steps: int = 600, width: int = 128
) -> Record:
    """:func:`clean` for networks that are too sure: wide ones, with dropout between linear layer and BatchNorm.

    Predicted: taking the shift away makes them surer still, and the loss worse.
    """
    return _measure("batchnorm-confident", 0.0, ("relu",), ("dropout inside",), rates, seeds, steps, width)


def activations(
    names: Sequence[str] = ("gelu", "tanh"),
    orders: Sequence[str] = THREE_ORDERS,
    rates: Sequence[float] = RATES,
    seeds: Sequence[int] = range(4),
    steps: int = STEPS,
) -> Record:
    """The ratios of :func:`clean` for other activations: GELU, and tanh, whose units have a mean near zero."""
    return _measure("batchnorm-activations-figure", 0.0, names, orders, rates, seeds, steps, predictions=False)


EXPERIMENTS = {
    "batchnorm-clean": clean,
    "batchnorm-noisy": noisy,
    "batchnorm-confident": confident,
    "batchnorm-activations-figure": activations,
}
