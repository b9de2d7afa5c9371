r"""What chapter 04 measures: every thinned subnetwork of small networks, their two means, and the one scaled pass.

All enumerations are in float64 except the million masks of :func:`two_layers`, whose sigmoids are in float32 and whose
sums are in float64. Enumerated networks use inverted dropout: subnetwork m computes with :math:`h \odot m / (1-p)` and
the one pass with :math:`h`, which is the mask's expectation.
"""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from companion.data import digits, moons
from companion.ensembles import arithmetic_mean, count_subnetworks, enumerate_masks, geometric_mean, sample_masks
from companion.experiments.protocol import Record, make_record
from companion.models import StackedMLP
from companion.training import adam, train

__all__ = [
    "EXPERIMENTS",
    "narrowed",
    "one_layer",
    "subnetworks",
    "twelve_units",
    "two_class_means",
    "two_layers",
    "wide",
]

KINDS = ("one subnetwork", "arithmetic mean", "geometric mean", "one pass")
AVERAGED = (1, 2, 3, 5, 7, 10, 14, 20, 30, 50, 70, 100)  # numbers K of sampled subnetworks


# ---- every subnetwork -------------------------------------------------------------------------------------------


def every_subnetwork(model: StackedMLP, index: int, x: Tensor, p: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Logits of all subnetworks of one model, and their probabilities, in float64.

    Args:
        model: stacked models.
        index: which of them.
        x: Tensor[n, features].
        p: probability of dropping at the input and at each hidden layer; where it is 0, nothing is masked.

    Returns:
        logits: Tensor[masks, n, classes]; the masks of later layers vary fastest.
        weights: Tensor[masks], sums to 1.

    Cost: all logits at once; 2^12 masks, 100 inputs and 10 classes are 33 MB.
    """
    h, weights = x.double()[None], torch.ones(1, dtype=torch.float64)
    last = len(model.weights) - 1
    for layer, rate in enumerate(p):
        if rate:
            masks, probabilities = enumerate_masks(h.shape[-1], rate)
            h = (h[:, None] * masks[None, :, None] / (1 - rate)).flatten(0, 1)
            weights = torch.outer(weights, probabilities).flatten()
        h = h @ model.weights[layer][index].detach().double() + model.biases[layer][index].detach().double()
        h = h if layer == last else model.activate(h)
    return h, weights


@torch.no_grad()
def two_class_means(
    model: StackedMLP, index: int, x: Tensor, y: Tensor, p: tuple[float, float], units: tuple[int, int] | None = None
) -> dict[str, Tensor]:
    """Exact means over all masks of both hidden layers of a two-class network, without storing their logits.

    Two classes need one number, the difference d of the logits, and d is linear in the second mask. So each mask of the
    first layer costs one product with the matrix of all masks of the second.

    Args:
        model: stacked models with two hidden layers and two classes.
        index: which of them.
        x: Tensor[n, features].
        y: Tensor[n] of classes.
        p: probability of dropping in the first and in the second hidden layer; 0 leaves the layer unmasked.
        units: how many units of each hidden layer are masked, the first ones; default: all.

    Returns:
        "arithmetic mean", "geometric mean", "one pass": Tensor[n, 2] of probabilities; "accuracy": Tensor[], the mean
        accuracy of the subnetworks.
    """
    first, second, out = (weight[index].double() for weight in model.weights)
    b1, b2, b3 = (bias[index].double() for bias in model.biases)
    n1, n2 = units or model.widths[1:3]
    h = model.activate(x.double() @ first + b1)[:, :n1]

    def masks_of(n: int, rate: float) -> tuple[Tensor, Tensor]:
        if rate == 0:
            return torch.ones(1, n, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        masks, weights = enumerate_masks(n, rate)
        return masks.double() / (1 - rate), weights

    def second_layer(h: Tensor) -> Tensor:
        return model.activate(h @ second[:n1] + b2)[:, :n2]

    one = second_layer(h) @ (out[:n2, 1] - out[:n2, 0]) + (b3[0, 1] - b3[0, 0])
    # What is summed is the probability of the class that the one pass does not choose: small numbers keep their digits.
    sign = torch.where(one > 0, -1.0, 1.0).double()[:, None]
    difference, offset = sign * (out[:n2, 1] - out[:n2, 0]), sign * (b3[0, 1] - b3[0, 0])
    masks1, weights1 = masks_of(n1, p[0])
    masks2, weights2 = masks_of(n2, p[1])
    columns, weights2_single, start = masks2.T.float().contiguous(), weights2.float(), offset.float()
    other, votes, mean_logit = torch.zeros(3, len(x), dtype=torch.float64)
    for mask, weight in zip(masks1, weights1, strict=True):
        c = second_layer(h * mask) * difference
        d = torch.addmm(start, c.float(), columns)  # n x masks of the second layer
        mean_logit += weight * (c @ (masks2.T @ weights2) + offset[:, 0])
        other += weight * (d.sigmoid_() @ weights2_single).double()
        votes += weight * (d.round_() @ weights2_single).double()  # share of subnetworks that choose the other class

    def both(chosen_not: Tensor, chosen: Tensor) -> Tensor:
        return torch.where(sign < 0, torch.stack([chosen_not, chosen], -1), torch.stack([chosen, chosen_not], -1))

    return {
        "arithmetic mean": both(other, 1 - other),
        "geometric mean": both(mean_logit.sigmoid(), (-mean_logit).sigmoid()),
        "one pass": torch.stack([(-one).sigmoid(), one.sigmoid()], -1),
        "accuracy": torch.where((y == 1) == (sign[:, 0] < 0), 1 - votes, votes).mean(),
    }


# ---- comparing predictions --------------------------------------------------------------------------------------


def kl(a: Tensor, b: Tensor) -> float:
    """Mean Kullback-Leibler divergence KL(a || b) over rows of probabilities, in nats; round-off below 0 is 0."""
    return max(0.0, float(torch.special.xlogy(a, a).sub(torch.special.xlogy(a, b)).sum(-1).mean()))


def total_variation(a: Tensor, b: Tensor) -> float:
    """Mean total variation distance over rows of probabilities, from 0 to 1."""
    return float((a - b).abs().sum(-1).mean() / 2)


def _score(probabilities: Tensor, y: Tensor) -> tuple[float, float]:
    """Accuracy in percent, and NLL in nats."""
    accuracy = 100 * float((probabilities.argmax(-1) == y).double().mean())
    return accuracy, -float(probabilities.gather(-1, y[..., None]).log().mean())


def _compared(means: dict[str, Tensor], y: Tensor) -> dict[str, dict[str, float]]:
    """metric -> kind of prediction -> number; ``means`` maps the last three of KINDS to Tensor[n, classes]."""
    one = means["one pass"]
    found: dict[str, dict[str, float]] = {"accuracy": {}, "NLL": {}, "KL from one pass": {}, "TV from one pass": {}}
    for kind, probabilities in means.items():
        found["accuracy"][kind], found["NLL"][kind] = _score(probabilities, y)
        if kind != "one pass":
            found["KL from one pass"][kind] = kl(probabilities, one)
            found["TV from one pass"][kind] = total_variation(probabilities, one)
    found["largest difference from one pass"] = {
        kind: float((means[kind] - one).abs().max()) for kind in ("arithmetic mean", "geometric mean")
    }
    return found


class _Table:
    """Collects ``metrics[metric][arm]``, one number a seed."""

    def __init__(self) -> None:
        self.metrics: dict[str, dict[str, list[float]]] = {}

    def add(self, metric: str, arm: str, value: float) -> None:
        self.metrics.setdefault(metric, {}).setdefault(arm, []).append(float(value))


_UNITS = {"accuracy": "%", "NLL": "nats", "KL from one pass": "nats"}


def _units(metrics: dict) -> dict[str, str]:
    return {metric: unit for metric in metrics for name, unit in _UNITS.items() if metric.startswith(name)}


# ---- experiments ------------------------------------------------------------------------------------------------


def one_layer(
    *,
    seeds: Sequence[int] = tuple(range(10)),
    steps: int = 1500,
    rates: Sequence[float] = (0.5, 0.2),
    units: int = 10,
    n_train: int = 500,
    n_test: int = 200,
    repeats: int = 4,
    lr: float = 5e-3,
) -> Record:
    """All 2^10 subnetworks of 64-10-10 networks on digits, their means, and Monte-Carlo averages of K of them.

    Predicted before running: the geometric mean equals the one pass (round-off only); the arithmetic mean does not;
    both are equally accurate; both are more accurate than one subnetwork; the RMS error of K masks falls with slope
    -1/2; whether the NLL of K masks crosses that of the one pass is what is measured.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=n_train, n_test=n_test, noise=0.0)
    model = StackedMLP((64, units, 10), seeds, rates)
    train(model, task.train, steps=steps, optimizer=adam(lr), progress="one hidden layer")
    test = task.test.open()
    table, notes = _Table(), {}
    runs = [monte_carlo(model, test.x, repeat) for repeat in range(repeats)]
    curves = {name: {"x": list(AVERAGED)} for name in ("RMS error", "NLL minus one pass", "accuracy")}
    for arm, p in enumerate(rates):
        for s in range(len(seeds)):
            index, x, y = arm * len(seeds) + s, test.x[s], test.y[s]
            logits, weights = every_subnetwork(model, index, x, (0, p))
            one = every_subnetwork(model, index, x, (0, 0))[0][0].softmax(-1)
            means = {
                "arithmetic mean": arithmetic_mean(logits, weights),
                "geometric mean": geometric_mean(logits, weights),
                "one pass": one,
            }
            for metric, arms in _compared(means, y).items():
                for kind, value in arms.items():
                    table.add(f"{metric}, p={p:g}", kind, value)
            right = (logits.argmax(-1) == y).double().mean(1)
            table.add(f"accuracy, p={p:g}", KINDS[0], 100 * float(weights @ right))
            squares = (logits.softmax(-1) - means["arithmetic mean"]).square().mean((1, 2))
            table.add(f"RMS distance from the arithmetic mean, p={p:g}", KINDS[0], float(weights @ squares) ** 0.5)
            errors = [(run[:, index] - means["arithmetic mean"]).square().mean((1, 2)) for run in runs]
            rms = torch.stack(errors).mean(0).sqrt().tolist()
            table.add(f"slope of the RMS error, p={p:g}", "arithmetic mean", _slope(AVERAGED, rms))
            scored = [torch.tensor(_against_one_pass(run[:, index], one, y)) for run in runs]
            values = (rms, *torch.stack(scored).mean(0).tolist())
            for name, value in zip(curves, values, strict=True):
                curves[name].setdefault(f"p={p:g}", []).append(value)
            if arm == 0 and s == 0:
                notes["scatter"] = {kind: means[kind][:40].flatten() for kind in KINDS[1:]}  # a picture needs no more
    return make_record(
        "ensembles-one-layer",
        started=started,
        task=f"{task.name}; 64-{units}-10, all {count_subnetworks([units]):,} masks",
        arms=KINDS,
        seeds=seeds,
        budget={"steps": steps, "batch": 50, "test images": n_test},
        metrics=table.metrics,
        units=_units(table.metrics),
        curves=curves,
        notes=notes,
        tolerance={
            f"{name} from one pass, p={p:g}": 1e-9 for p in rates for name in ("largest difference", "KL", "TV")
        },
    )


@torch.no_grad()
def monte_carlo(model: StackedMLP, x: Tensor, seed: int) -> Tensor:
    """Averages of the predictions of K passes with dropout on, for every K in AVERAGED.

    Every example of every pass has a mask of its own.

    Returns:
        Tensor[len(AVERAGED), models, n, classes] of probabilities.
    """
    model.generator = torch.Generator().manual_seed(seed)
    model.train()
    total, averages = torch.zeros((), dtype=torch.float64), []
    for count in range(1, max(AVERAGED) + 1):
        total = total + model(x).double().softmax(-1)
        if count in AVERAGED:
            averages.append(total / count)
    model.eval()
    return torch.stack(averages)


def _against_one_pass(averages: Tensor, one: Tensor, y: Tensor) -> tuple[list[float], list[float]]:
    """NLL of averages over K masks minus that of the one pass, and accuracy, for one model and every K."""
    loss = _score(one, y)[1]
    scores = [_score(average, y) for average in averages]
    return [negative - loss for _, negative in scores], [right for right, _ in scores]


def _slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Slope of the least-squares line through the logarithms."""
    u = torch.tensor(x, dtype=torch.float64).log()
    v = torch.tensor(y, dtype=torch.float64).log()
    u = u - u.mean()
    return float((u * v).sum() / u.square().sum())


def two_layers(
    *,
    seeds: Sequence[int] = tuple(range(6)),
    steps: int = 1500,
    rates: Sequence[float] = (0.5, 0.2),
    units: int = 10,
    n_train: int = 200,
    n_test: int = 100,
    lr: float = 5e-3,
) -> Record:
    """All 2^20 subnetworks of 2-10-10-2 ReLU networks on two moons, dropout after both hidden layers.

    Predicted before running: the one pass is close to the geometric mean but not equal to it; the arithmetic mean is
    farther away; accuracies of the three do not differ; all beat one subnetwork.
    """
    started = time.perf_counter()
    task = moons(seeds, n_train=n_train, n_test=n_test)
    model = StackedMLP((2, units, units, 2), seeds, rates)
    train(model, task.train, steps=steps, optimizer=adam(lr), progress="two hidden layers")
    test = task.test.open()
    table, notes = _Table(), {}
    averages = monte_carlo(model, test.x, 0)
    curves = {name: {"x": list(AVERAGED)} for name in ("NLL minus one pass", "accuracy")}
    for arm, p in enumerate(rates):
        for s in range(len(seeds)):
            x, y = test.x[s], test.y[s]
            found = two_class_means(model, arm * len(seeds) + s, x, y, (p, p))
            means = {kind: found[kind] for kind in KINDS[1:]}
            for metric, arms in _compared(means, y).items():
                for kind, value in arms.items():
                    table.add(f"{metric}, p={p:g}", kind, value)
            table.add(f"accuracy, p={p:g}", KINDS[0], 100 * float(found["accuracy"]))
            values = _against_one_pass(averages[:, arm * len(seeds) + s], means["one pass"], y)
            for name, value in zip(curves, values, strict=True):
                curves[name].setdefault(f"p={p:g}", []).append(value)
            if arm == 0 and s == 0:
                notes["scatter"] = {kind: means[kind][:, 1] for kind in KINDS[1:]}
    return make_record(
        "ensembles-two-layers",
        started=started,
        task=f"{task.name}; 2-{units}-{units}-2, all {count_subnetworks([units, units]):,} masks",
        arms=KINDS,
        seeds=seeds,
        budget={"steps": steps, "batch": 50, "test points": n_test},
        metrics=table.metrics,
        units=_units(table.metrics),
        curves=curves,
        notes=notes,
    )


# widths of the hidden layers, activation, {arm: rates in training}, rates in the enumeration; input first
TWELVE_UNITS = (
    ((6, 6), "linear", {"linear 6-6": (0, 0.5, 0.5)}, (0, 0.5, 0.5)),
    ((12,), "relu", {"ReLU 12": (0, 0.5)}, (0, 0.5)),
    ((6, 12), "relu", {"ReLU 6-12, head only": (0, 0, 0.5)}, (0, 0, 0.5)),
    ((6, 6), "relu", {"ReLU 6-6": (0, 0.5, 0.5), "ReLU 6-6, trained without": (0, 0, 0)}, (0, 0.5, 0.5)),
    ((6, 6), "tanh", {"tanh 6-6": (0, 0.5, 0.5)}, (0, 0.5, 0.5)),
)
EXACT = ("linear 6-6", "ReLU 12", "ReLU 6-12, head only")
INEXACT = ("ReLU 6-6", "ReLU 6-6, trained without", "tanh 6-6")


def twelve_units(
    *,
    seeds: Sequence[int] = tuple(range(6)),
    steps: int = 1000,
    n_train: int = 1000,
    n_test: int = 100,
    lr: float = 5e-3,
) -> Record:
    """All 2^12 subnetworks of six kinds of networks with 12 masked units, on digits: where is one pass the mean?

    Predicted before running: the three kinds whose logits are affine in each mask agree to 1e-6; KL is above 1e-3 with
    two masked ReLU or tanh layers; the network trained without dropout is at least 10 times farther away.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=n_train, n_test=n_test, noise=0.0)
    test = task.test.open()
    table = _Table()
    for hidden, activation, arms, masked in TWELVE_UNITS:
        model = StackedMLP((64, *hidden, 10), seeds, list(arms.values()), activation=activation)
        train(model, task.train, steps=steps, optimizer=adam(lr), progress=" and ".join(arms))
        for index in range(model.models):
            name, s = list(arms)[index // len(seeds)], index % len(seeds)
            x, y = test.x[s], test.y[s]
            logits, weights = every_subnetwork(model, index, x, masked)
            one = every_subnetwork(model, index, x, [0] * len(masked))[0][0].softmax(-1)
            arithmetic, geometric = arithmetic_mean(logits, weights), geometric_mean(logits, weights)
            table.add("max |GM − one pass|", name, float((geometric - one).abs().max()))
            distance = kl(geometric, one)
            table.add("KL(GM, one pass)", name, distance)
            if name in INEXACT:
                # Two distributions that agree to the last digit: rounding may take the sum to zero or below.
                table.add("log10 KL(GM, one pass)", name, math.log10(max(distance, torch.finfo(torch.float64).eps)))
            table.add("TV(GM, one pass)", name, total_variation(geometric, one))
            table.add("TV(AM, one pass)", name, total_variation(arithmetic, one))
            for kind, probabilities in (("one pass", one), ("GM", geometric), ("AM", arithmetic)):
                accuracy, loss = _score(probabilities, y)
                table.add(f"accuracy, {kind}", name, accuracy)
                table.add(f"NLL, {kind}", name, loss)
    return make_record(
        "ensembles-twelve-units",
        started=started,
        task=f"{task.name}; 12 masked units, all {count_subnetworks([12]):,} masks",
        arms=(*EXACT, *INEXACT),
        seeds=seeds,
        budget={"steps": steps, "batch": 50, "test images": n_test},
        metrics=table.metrics,
        units=_units(table.metrics),
        tolerance={"max |GM − one pass|": 1e-9, "KL(GM, one pass)": 1e-9, "TV(GM, one pass)": 1e-9},
    )


def wide(
    *,
    seeds: Sequence[int] = tuple(range(8)),
    steps: int = 800,
    p: float = 0.5,
    units: int = 128,
    n_train: int = 500,
    n_test: int = 500,
    lr: float = 2e-3,
) -> Record:
    """Monte-Carlo averages of K subnetworks against one pass, in 64-128-128-10 networks that nobody can enumerate.

    Predicted before running: the average of a few masks is worse than one pass; whether and where it becomes better is
    what is measured (Srivastava et al. 2014, sec. 7.5, found about 50 masks for a network on MNIST).
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=n_train, n_test=n_test, noise=0.0)
    model = StackedMLP((64, units, units, 10), seeds, [p])
    train(model, task.train, steps=steps, optimizer=adam(lr), progress="wide network")
    test = task.test.open()
    with torch.no_grad():
        one = model(test.x).double().softmax(-1)
    averages = monte_carlo(model, test.x, 0)
    table, most = _Table(), max(AVERAGED)
    curves = {name: {"x": list(AVERAGED), "wide": []} for name in ("NLL minus one pass", "accuracy")}
    for s in range(len(seeds)):
        accuracy, loss = _score(one[s], test.y[s])
        table.add("accuracy", "one pass", accuracy)
        table.add("NLL", "one pass", loss)
        losses, rights = _against_one_pass(averages[:, s], one[s], test.y[s])
        for k, arm in ((0, "one subnetwork"), (AVERAGED.index(50), "50 masks"), (-1, f"{most} masks")):
            table.add("accuracy", arm, rights[k])
            table.add("NLL", arm, losses[k] + loss)
        table.add("TV from one pass", f"{most} masks", total_variation(averages[-1, s], one[s]))
        curves["NLL minus one pass"]["wide"].append(losses)
        curves["accuracy"]["wide"].append(rights)
    return make_record(
        "ensembles-wide",
        started=started,
        task=f"{task.name}; 64-{units}-{units}-10, p = {p:g} in both hidden layers",
        arms=("one subnetwork", "50 masks", f"{most} masks", "one pass"),
        seeds=seeds,
        budget={"steps": steps, "batch": 50, "test images": n_test},
        metrics=table.metrics,
        units=_units(table.metrics),
        curves=curves,
    )


# ---- the interactive figure -------------------------------------------------------------------------------------


def narrowed(model: StackedMLP, units: Sequence[int]) -> StackedMLP:
    """Leaves arm a of ``model`` only its first ``units[a]`` units in every hidden layer, before training.

    A ReLU unit without incoming and outgoing weights gets no gradient and stays silent, so that networks of different
    widths train in one stack, each exactly as if the other units did not exist.
    """
    if len(units) != model.arms:
        raise ValueError(f"units must hold one number for each of the {model.arms} arms, got {len(units)}")
    seeds, last = len(model.seeds), len(model.weights) - 1
    with torch.no_grad():
        for arm, n in enumerate(units):
            rows = slice(arm * seeds, (arm + 1) * seeds)
            for layer in range(last):
                model.weights[layer][rows, :, n:] = 0
                model.biases[layer][rows, :, n:] = 0
                model.weights[layer + 1][rows, n:] = 0
    return model


POINTS = {"A": (0.0, 1.0), "B": (0.5, 0.25), "C": (1.0, -0.5)}  # top of one moon, between both, bottom of the other
PLACES = {"last": (0.0, 0.0, 0.5), "both": (0.0, 0.5, 0.5)}


def subnetworks(
    *,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 800,
    most: int = 10,
    draws: int = 60,
    n_train: int = 200,
    lr: float = 5e-3,
) -> Record:
    """The figure's networks: 2-n-n-2 on two moons for n = 2, ..., 10, dropout in the last or in both hidden layers.

    For three points the exact means over all masks, and the logits of ``draws`` sampled subnetworks of the first seed.
    Predicted before running: with dropout in the last hidden layer only, the geometric mean is the one pass for all n.
    """
    started = time.perf_counter()
    task = moons(seeds, n_train=n_train, n_test=2)
    sizes = list(range(2, most + 1))
    rates = [rate for rate in PLACES.values() for _ in sizes]
    model = narrowed(StackedMLP((2, most, most, 2), seeds, rates), sizes * len(PLACES))
    train(model, task.train, steps=steps, optimizer=adam(lr), progress=f"{model.arms} networks a seed")
    x = torch.tensor(list(POINTS.values()))
    masks = sample_masks(draws, 2 * most, 0.5, generator=torch.Generator().manual_seed(4)).view(draws, 2, most)
    table = _Table()
    nets: dict[str, list[dict]] = {place: [] for place in PLACES}
    arm = 0
    for place, (_, *p) in PLACES.items():
        for n in sizes:
            for s in range(len(seeds)):
                index = arm * len(seeds) + s
                found = two_class_means(model, index, x, torch.zeros(len(x)), tuple(p), (n, n))
                for kind in KINDS[1:3]:
                    gap = float((found[kind] - found["one pass"]).abs().max())
                    table.add(f"gap of the {kind}, {place}", f"n={n}", gap)
                if s == 0:
                    exact = {kind: found[kind][:, 1] for kind in KINDS[1:]}
                    nets[place].append(exact | {"logits": _sampled_logits(model, index, x, masks, p)})
            arm += 1
    return make_record(
        "ensembles-figure",
        started=started,
        task=f"{task.name}; 2-n-n-2, three points of the plane",
        arms=tuple(f"n={n}" for n in sizes),
        seeds=seeds,
        budget={"steps": steps, "batch": 50},
        metrics=table.metrics,
        notes={"masks": masks.flatten(1), "nets": nets},
        tolerance={metric: 0.05 if "arithmetic" in metric or "both" in metric else 1e-9 for metric in table.metrics},
    )


@torch.no_grad()
def _sampled_logits(model: StackedMLP, index: int, x: Tensor, masks: Tensor, p: Sequence[float]) -> Tensor:
    """Difference of the two logits of each sampled subnetwork: Tensor[points, draws]."""
    h = x.double()
    for layer, rate in enumerate((0.0, *p)):
        if rate:
            h = h * masks[:, layer - 1, None].double() / (1 - rate)
        h = h @ model.weights[layer][index].double() + model.biases[layer][index].double()
        h = model.activate(h) if layer < 2 else h
    return (h[..., 1] - h[..., 0]).expand(len(masks), -1).T.contiguous()


EXPERIMENTS = {
    "ensembles-one-layer": one_layer,
    "ensembles-two-layers": two_layers,
    "ensembles-twelve-units": twelve_units,
    "ensembles-wide": wide,
    "ensembles-figure": subnetworks,
}
