r"""Chapter 01: how much does what one unit does depend on another, and what does dropout change about it?

What is exact stands first: the variance that dropout adds, the ridge that it becomes in linear regression, the synergy
of a pair. Then the trained comparison.

Signs predicted before running, for p = 0.5 against p = 0 on digits with wrong labels: accuracy after removing units
higher; cancellation, flips by one unit, relative noise, and pair synergy relative to single removals lower; correlation
between units: no prediction that deserves the name (the common reading says lower in every layer). If robustness were
only the price of a better accuracy, weight decay and early stopping would show it just as well.
"""

import itertools
import math
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from companion.data import Examples, Task, digits
from companion.ensembles import enumerate_masks
from companion.experiments.protocol import Record, make_record
from companion.masks import check_p
from companion.models import StackedMLP
from companion.training import Optimizer, accuracy, adam, adamw, evaluate, train

__all__ = [
    "EXPERIMENTS",
    "cancellation",
    "correlation",
    "dropout_regression",
    "expected_squared_error",
    "flips",
    "negative_weights",
    "noise_deviation",
    "pair_synergy",
    "penalised_squared_error",
    "removal",
    "removal_curve",
    "removed",
    "small_nets",
    "synergy",
    "total_of_copies",
    "wrong_labels",
]


# ---- exact ---------------------------------------------------------------------------------------------------------


def noise_deviation(contributions: Sequence[float] | Tensor, p: float) -> float:
    r"""Standard deviation that inverted dropout adds to a sum of contributions :math:`c_j = w_j h_j`.

    .. math:: \mathrm{s.d.}\Big[\sum_j \tfrac{m_j}{k} c_j\Big] = \sqrt{\tfrac{p}{k} \sum_j c_j^2}, \qquad k = 1 - p

    Args:
        contributions: one number a unit.
        p: probability of dropping a unit, below 1.

    Raises:
        ValueError: if ``p`` is not in [0, 1).
    """
    c = torch.as_tensor(contributions, dtype=torch.float64)
    return math.sqrt(_odds(p) * float(c.square().sum()))


def _odds(p: float) -> float:
    p = check_p(p)
    if p == 1:
        raise ValueError("p must be below 1: at 1 nothing is left to train on")
    return p / (1 - p)


def synergy(loss: Callable[[Tensor], float], units: int, i: int, j: int) -> float:
    r"""How much the effect of removing unit i depends on unit j.

    .. math:: I(i, j) = L(-i, -j) - L(-i) - L(-j) + L

    Zero if the two removals simply add up; negative if losing one makes the loss of the other matter less (partners in
    a conspiracy), positive if it makes it matter more (one can stand in for the other).

    Args:
        loss: loss as a function of a mask, Tensor[units] of ones and zeros.
        units: number of units.
        i, j: the pair; two different units.
    """
    if i == j:
        raise ValueError(f"i and j must be two different units, got {i} twice")

    def without(*gone: int) -> float:
        mask = torch.ones(units, dtype=torch.float64)
        mask[list(gone)] = 0
        return loss(mask)

    return without(i, j) - without(i) - without(j) + without()


def expected_squared_error(x: Tensor, y: Tensor, w: Tensor, p: float) -> float:
    r"""Squared error of a linear model under inverted dropout on its inputs, averaged over ALL masks by enumeration.

    .. math:: \sum_i \sum_m \Pr(m) \Big(y_i - \sum_j \tfrac{m_j}{k} x_{ij} w_j\Big)^2

    Masks of different examples are independent, and a sum of expectations needs no joint masks: 2^features suffice.

    Args:
        x: Tensor[n, features].
        y: Tensor[n].
        w: Tensor[features].
        p: probability of dropping an input, below 1.
    """
    _odds(p)
    masks, probability = enumerate_masks(x.shape[1], p)
    predictions = (masks.to(x.dtype) * w / (1 - p)) @ x.T  # masks, n
    return float(probability @ (y - predictions).square().sum(1).double())


def penalised_squared_error(x: Tensor, y: Tensor, w: Tensor, p: float) -> float:
    r"""The same number in closed form: least squares and a ridge with a strength of its own for every feature.

    .. math:: \lVert y - Xw \rVert^2 + \tfrac{p}{k} \sum_j \lVert x_j \rVert^2 w_j^2

    Args:
        x: Tensor[n, features].
        y: Tensor[n].
        w: Tensor[features].
        p: probability of dropping an input, below 1.

    Reference: Srivastava et al. (2014), sec. 9.1.
    """
    return float((y - x @ w).square().sum() + _odds(p) * (x.square().sum(0) * w.square()).sum())


def dropout_regression(x: Tensor, y: Tensor, p: float) -> Tensor:
    r"""Weights that minimise the expected squared error of linear regression with dropout on the inputs.

    .. math:: w = \Big(X^\top X + \tfrac{p}{k}\,\mathrm{diag}(X^\top X)\Big)^{-1} X^\top y

    Args:
        x: Tensor[..., n, features]; leading axes are independent data sets.
        y: Tensor[..., n].
        p: probability of dropping an input, below 1; at ``p = 0`` ordinary least squares.

    Returns:
        Tensor[..., features].
    """
    gram = x.mT @ x
    ridge = _odds(p) * torch.diag_embed(gram.diagonal(dim1=-2, dim2=-1))
    return torch.linalg.solve(gram + ridge, (x.mT @ y[..., None])[..., 0])


def total_of_copies(slope: float, copies: int, p: float) -> float:
    r"""Total weight that dropout regression gives to r identical copies of a feature of least-squares slope s.

    .. math:: s_{\mathrm{tot}} = \frac{s}{1 + p / (r k)}

    Every copy gets the same share. One copy is shrunk hardest; many copies vouch for each other.
    """
    if copies < 1:
        raise ValueError(f"copies must be at least 1, got {copies}")
    return slope / (1 + _odds(p) / copies)


def negative_weights(values: Sequence[float] = (0, 1, 20), rows: int = 3, p: float = 0.5) -> tuple[int, int, Tensor]:
    """Searches all small data sets whose target is the plain sum of non-negative inputs for negative dropout weights.

    Least squares finds the weights (1, 1, 1) on every one of them. The search takes all sets of ``rows`` different
    rows with three entries from ``values`` whose columns are linearly independent.

    Args:
        values: what an input may be; non-negative.
        rows: number of rows of a data set.
        p: probability of dropping an input.

    Returns:
        Number of data sets, number of those with a negative weight, and the data set with the most negative one,
        Tensor[rows, 3].

    Reference: the question is that of Helmbold & Long (2017), who answer it for deep networks.
    """
    if min(values) < 0:
        raise ValueError(f"values must not be negative, got {list(values)}")
    candidates = [row for row in itertools.product(values, repeat=3) if any(row)]
    x = torch.tensor(list(itertools.combinations(candidates, rows)), dtype=torch.float64)
    x = x[torch.linalg.det(x.mT @ x) > 0.5]  # an integer for integer values: 0 or at least 1
    lowest = dropout_regression(x, x.sum(-1), p).amin(1)
    return len(x), int((lowest < -1e-9).sum()), x[lowest.argmin()]


# ---- measured on trained networks ----------------------------------------------------------------------------------


def _after(model: StackedMLP, h: Tensor, layer: int) -> Tensor:
    """Logits from the activations of hidden layer ``layer`` (counted from 0)."""
    for later in range(layer + 1, len(model.weights) - 1):
        h = model.activate(model.linear(h, later))
    return model.linear(h, len(model.weights) - 1)


@torch.no_grad()
def removed(
    model: StackedMLP, x: Tensor, layer: int, units: Sequence[int] | Tensor, *, rescale: bool = False
) -> Tensor:
    """Logits after units of one hidden layer were removed for good: the same units for every example.

    Args:
        model: stacked models in evaluation mode.
        x: Tensor[seeds, n, features].
        layer: hidden layer, counted from 0.
        units: indices of the removed units.
        rescale: whether the others are multiplied by units / units left, so that the sum keeps its expected size.

    Returns:
        Tensor[models, n, classes].
    """
    h = model.hidden(x)[layer]
    return _after(model, h * _left(h.shape[-1], units, rescale), layer)


def _left(width: int, units: Sequence[int] | Tensor, rescale: bool = False) -> Tensor:
    left = torch.ones(width)
    left[torch.as_tensor(units, dtype=torch.long)] = 0
    return left * (width / left.sum()) if rescale and left.any() else left


@torch.no_grad()
def removal_curve(
    model: StackedMLP,
    examples: Examples,
    layer: int,
    fractions: Sequence[float],
    *,
    subsets: int = 10,
    rescale: bool = False,
) -> Tensor:
    """Accuracy against the fraction of units removed from one hidden layer, averaged over random subsets.

    The subsets are paired (every model loses the same ones) and nested (a larger fraction removes more of the same
    order), and one subset holds for all examples: permanent damage, not the fresh masks of MC dropout.

    Args:
        model: stacked models in evaluation mode.
        examples: what accuracy is measured on.
        layer: hidden layer, counted from 0.
        fractions: fractions of the units to remove.
        subsets: number of random orders of removal.
        rescale: see :func:`removed`.

    Returns:
        Tensor[models, fractions].
    """
    h = model.hidden(examples.x)[layer]
    width = h.shape[-1]
    generator = torch.Generator().manual_seed(width)
    orders = [torch.randperm(width, generator=generator) for _ in range(subsets)]
    columns = []
    for fraction in fractions:
        count = round(fraction * width)
        chosen = orders if count else orders[:1]
        masks = [_left(width, order[:count], rescale) for order in chosen]
        columns.append(torch.stack([accuracy(_after(model, h * mask, layer), examples.y) for mask in masks]).mean(0))
    return torch.stack(columns, 1)


@torch.no_grad()
def cancellation(model: StackedMLP, x: Tensor, layer: int) -> Tensor:
    r"""Cancellation index of what hidden layer ``layer`` says to the next one.

    .. math:: \frac{\mathrm{mean} \sum_j |w_j h_j|}{\mathrm{mean}\, |\sum_j w_j h_j|}

    with means over examples and units of the next layer. 1: all units pull the same way; 3: two thirds of what is said
    is cancelled by others.

    Returns:
        Tensor[models].
    """
    h, w = model.hidden(x)[layer], model.weights[layer + 1]
    return torch.bmm(h.abs(), w.abs()).mean((1, 2)) / torch.bmm(h, w).abs().mean((1, 2))


@torch.no_grad()
def relative_noise(model: StackedMLP, x: Tensor, layer: int) -> Tensor:
    r"""Noise that dropout at p = 0.5 adds to the next layer's sums, relative to how much they vary over examples.

    .. math:: \sqrt{\mathrm{mean} \sum_j w_j^2 h_j^2 \,/\, \mathrm{mean}\, \mathrm{Var}_x[z]}

    Returns:
        Tensor[models].
    """
    h, w = model.hidden(x)[layer], model.weights[layer + 1]
    return (torch.bmm(h.square(), w.square()).mean((1, 2)) / torch.bmm(h, w).var(1).mean(1)).sqrt()


@torch.no_grad()
def flips(model: StackedMLP, x: Tensor, layer: int) -> Tensor:
    """Share of predictions that change when one unit of a hidden layer is silenced: Tensor[models, units]."""
    h = model.hidden(x)[layer]
    whole = _after(model, h, layer).argmax(-1)
    return torch.stack(
        [
            (_after(model, h * _left(h.shape[-1], [unit]), layer).argmax(-1) != whole).double().mean(1)
            for unit in range(h.shape[-1])
        ],
        1,
    )


@torch.no_grad()
def correlation(model: StackedMLP, x: Tensor, layer: int) -> Tensor:
    """Mean absolute correlation between units of a hidden layer, dead units left out: Tensor[models].

    A unit is dead if it never changes over the examples; it has no correlation.
    """
    h = model.hidden(x)[layer].double()
    h = h - h.mean(1, keepdim=True)
    covariance = h.mT @ h
    deviation = covariance.diagonal(dim1=1, dim2=2).sqrt()
    alive = deviation > 1e-9
    r = (covariance / (deviation[:, :, None] * deviation[:, None, :]).clamp(min=1e-30)).abs()
    pair = alive[:, :, None] & alive[:, None, :] & ~torch.eye(h.shape[-1], dtype=torch.bool)
    return (r * pair).sum((1, 2)) / pair.sum((1, 2)).clamp(min=1)


@torch.no_grad()
def _loss(model: StackedMLP, h: Tensor, y: Tensor, layer: int) -> Tensor:
    """Mean negative log-likelihood of each model, from the activations of a hidden layer."""
    logits = _after(model, h, layer)
    y = y.repeat(logits.shape[0] // y.shape[0], 1)
    return F.cross_entropy(logits.flatten(0, 1).double(), y.flatten(), reduction="none").view(y.shape).mean(1)


@torch.no_grad()
def pair_synergy(
    model: StackedMLP, examples: Examples, layer: int, pairs: Sequence[tuple[int, int]]
) -> tuple[Tensor, Tensor]:
    r"""Loss that single units of a layer save, and the synergy of pairs of them; see :func:`synergy`.

    Args:
        model: stacked models in evaluation mode.
        examples: what the loss is measured on.
        layer: hidden layer, counted from 0.
        pairs: pairs of units.

    Returns:
        Tensor[models, units]: the loss without a unit minus the loss with all of them; and Tensor[models, pairs]: the
        synergy :math:`I(i, j) = L(-i,-j) - L(-i) - L(-j) + L`, both in nats.
    """
    h = model.hidden(examples.x)[layer]
    width = h.shape[-1]
    whole = _loss(model, h, examples.y, layer)

    def cost(*gone: int) -> Tensor:
        return _loss(model, h * _left(width, gone), examples.y, layer) - whole

    single = torch.stack([cost(unit) for unit in range(width)], 1)
    both = torch.stack([cost(i, j) for i, j in pairs], 1)
    first, second = (list(side) for side in zip(*pairs, strict=True))
    return single, both - single[:, first] - single[:, second]


# ---- the experiments -----------------------------------------------------------------------------------------------


def _one_arm(model: StackedMLP, arm: int) -> StackedMLP:
    """A copy of the models of one arm."""
    rows = slice(arm * len(model.seeds), (arm + 1) * len(model.seeds))
    alone = StackedMLP(model.widths, model.seeds, scheme=model.scheme, activation=model.activation)
    alone.load_state_dict({name: values[rows].clone() for name, values in model.state_dict().items()})
    return alone.eval()


def _shaped(values: Tensor, model: StackedMLP) -> Tensor:
    return values.view(model.arms, len(model.seeds), *values.shape[1:])


def _fit(
    task: Task, widths: Sequence[int], p: Sequence[float], steps: int, optimizer: Optimizer, stop: int = 0
) -> tuple[StackedMLP, StackedMLP | None]:
    """Trains one arm for each rate; also returns the first arm as it was after ``stop`` steps, if that is positive."""
    early: list[StackedMLP] = []

    def keep(model: StackedMLP, step: int) -> None:
        if step == stop:
            early.append(_one_arm(model, 0))

    model = StackedMLP(widths, task.seeds, p)
    train(model, task.train, steps=steps, optimizer=optimizer, watch=keep, watch_every=stop, progress="co-adaptation")
    return model, early[0] if early else None


def _measure(model: StackedMLP, test: Examples, fractions: Sequence[float], subsets: int, few: int, pairs: int) -> dict:
    """Every metric of the chapter: name -> Tensor[models], and two curves: name -> Tensor[models, fractions]."""
    x = test.x[:, :few]  # flips and synergy need hundreds of passes
    part = Examples(x, test.y[:, :few], test.role)
    curves = {f"layer {n}": removal_curve(model, test, n - 1, fractions, subsets=subsets) for n in (1, 2)}
    half = {name: curve[:, list(fractions).index(0.5)] for name, curve in curves.items()}
    doubled = removal_curve(model, test, 0, [0.5], subsets=subsets, rescale=True)[:, 0]
    single = {n: flips(model, x, n - 1) for n in (1, 2)}
    width = model.widths[1]
    generator = torch.Generator().manual_seed(width)
    chosen = torch.combinations(torch.arange(width))
    chosen = chosen[torch.randperm(len(chosen), generator=generator)[:pairs]].tolist()
    ratio = {}
    for n in (1, 2):
        alone, together = pair_synergy(model, part, n - 1, chosen)
        ratio[n] = together.abs().mean(1) / alone.abs().mean(1)
    metrics = {
        "accuracy, all units": 100 * evaluate(model, test)["accuracy"].flatten(),
        "accuracy, half of layer 1 removed": 100 * half["layer 1"],
        "accuracy, half of layer 1 removed, rest doubled": 100 * doubled,
        "accuracy, half of layer 2 removed": 100 * half["layer 2"],
        "cancellation index, layer 1": cancellation(model, test.x, 0),
        "cancellation index, layer 2": cancellation(model, test.x, 1),
        "flips by one unit of layer 1, mean": 100 * single[1].mean(1),
        "flips by one unit of layer 1, worst": 100 * single[1].amax(1),
        "flips by one unit of layer 2, worst": 100 * single[2].amax(1),
        "pair synergy over single removal, layer 1": ratio[1],
        "pair synergy over single removal, layer 2": ratio[2],
        "relative noise, layer 1": relative_noise(model, test.x, 0),
        "relative noise, layer 2": relative_noise(model, test.x, 1),
        "mean |correlation|, layer 1": correlation(model, test.x, 0),
        "mean |correlation|, layer 2": correlation(model, test.x, 1),
    }
    return {"metrics": metrics, "curves": curves}


def removal(
    seeds: Sequence[int] = tuple(range(12)),
    *,
    p: Sequence[float] = (0.0, 0.2, 0.5, 0.7),
    width: int = 64,
    steps: int = 800,
    stop: int = 160,
    weight_decay: float = 1.0,
    lr: float = 3e-3,
    n_train: int = 300,
    n_test: int = 1000,
    noise: float = 0.2,
    subsets: int = 10,
    few: int = 300,
    pairs: int = 100,
) -> Record:
    """Does dropout make units less dependent on each other, and do other regularizers do the same?

    Predicted signs: see the module. The settings of the controls (decay and stopping step) were fixed beforehand: in a
    pilot run they came to an accuracy near that of dropout.

    Args:
        seeds: paired seeds.
        p: drop rates; the first must be 0, the reference.
        width: units of each of the two hidden layers.
        steps: optimizer steps of all arms but "early stop".
        stop: steps of the arm "early stop": the very networks of p = 0, as they were then.
        weight_decay: decoupled weight decay of the arm "weight decay", at p = 0.
        lr: learning rate of Adam and AdamW.
        n_train, n_test, noise: the task; see :func:`companion.data.digits`.
        subsets: random subsets of units a point of the removal curve.
        few: test images for flips and synergy.
        pairs: pairs of units whose synergy is averaged.
    """
    started = time.perf_counter()
    if not p or p[0] != 0:
        raise ValueError(f"p must begin with 0, the reference, got {tuple(p)}")
    task = digits(seeds, n_train=n_train, n_test=n_test, noise=noise)
    test = task.test.open()
    widths = (64, width, width, 10)
    fractions = [i / 8 for i in range(8)]
    dropped, early = _fit(task, widths, p, steps, adam(lr), stop)
    decayed, _ = _fit(task, widths, (0.0,), steps, adamw(lr, weight_decay))
    if early is None:
        raise ValueError(f"stop must be a positive number of at most {steps} steps, got {stop}")
    named = [([f"p={rate:g}" for rate in p], dropped), (["weight decay"], decayed), (["early stop"], early)]
    arms = [arm for names, _ in named for arm in names]
    metrics: dict[str, dict] = {}
    curves: dict[str, dict] = {f"layer {n}": {"x": fractions} for n in (1, 2)}
    for names, model in named:
        measured = _measure(model, test, fractions, subsets, few, pairs)
        for kind, into in (("metrics", metrics), ("curves", curves)):
            for name, values in measured[kind].items():
                rows = _shaped(values, model)
                into.setdefault(name, {}).update({arm: rows[i] for i, arm in enumerate(names)})
    for name in curves:
        curves[name] |= {arm: 100 * values for arm, values in curves[name].items() if arm != "x"}
    units = {name: "%" for name in metrics if name.startswith(("accuracy", "flips"))}
    return make_record(
        "co-adaptation",
        started=started,
        task=f"{task.name}; {test.x.shape[1]} clean test images; network 64-{width}-{width}-10",
        arms=arms,
        seeds=task.seeds,
        budget={"steps": steps, "early stop": stop, "weight decay": weight_decay, "learning rate": lr, "batch": 50},
        metrics=metrics,
        units=units,
        curves=curves,
    )


def wrong_labels(
    seeds: Sequence[int] = tuple(range(12)),
    *,
    noise: float = 0.2,
    p: float = 0.5,
    width: int = 64,
    steps: int = 800,
    lr: float = 3e-3,
    n_train: int = 300,
    n_test: int = 1000,
) -> Record:
    """Why the course trains on digits with wrong labels: without them a small network hardly overfits.

    Predicted: the gap between training and test accuracy, and what dropout gains, are larger with wrong labels. The
    images, the splits, the first weights and the batches are the same in all arms.

    Args:
        seeds: paired seeds.
        noise: share of wrong training labels in the noisy arms.
        p: drop rate of the arms with dropout.
        width: units of each of the two hidden layers.
        steps, lr: as in :func:`removal`.
        n_train, n_test: number of images.
    """
    started = time.perf_counter()
    names = {0.0: "right labels", noise: f"{noise:.0%} wrong labels"}
    metrics: dict[str, dict] = {"training accuracy": {}, "test accuracy": {}, "training minus test": {}}
    arms = []
    for share, label in names.items():
        task = digits(seeds, n_train=n_train, n_test=n_test, noise=share)
        model, _ = _fit(task, (64, width, width, 10), (0.0, p), steps, adam(lr))
        on_train = 100 * evaluate(model, task.train)["accuracy"]
        on_test = 100 * evaluate(model, task.test.open())["accuracy"]
        for i, rate in enumerate((0.0, p)):
            arms.append(arm := f"{label}, p={rate:g}")
            metrics["training accuracy"][arm] = on_train[i]
            metrics["test accuracy"][arm] = on_test[i]
            metrics["training minus test"][arm] = on_train[i] - on_test[i]
    return make_record(
        "co-adaptation-wrong-labels",
        started=started,
        task=f"digits, {n_train} images; {n_test} clean test images; network 64-{width}-{width}-10",
        arms=arms,
        seeds=tuple(seeds),
        budget={"steps": steps, "learning rate": lr, "batch": 50},
        metrics=metrics,
        units=dict.fromkeys(metrics, "%"),
        tolerance={"training accuracy": 0.5},
    )


SNAPSHOTS = (0, 50, 100, 200, 400, 800)


def small_nets(
    seeds: Sequence[int] = tuple(range(12)),
    *,
    p: float = 0.5,
    width: int = 12,
    snapshots: Sequence[int] = SNAPSHOTS,
    threshold: float = 0.02,
    lr: float = 3e-3,
    n_train: int = 300,
    n_test: int = 1000,
    noise: float = 0.2,
) -> Record:
    """Pairwise dependence inside networks small enough to draw: all pairs of one hidden layer, as training goes on.

    Predicted: at the end, smaller synergy between pairs and fewer load-bearing pairs with dropout.

    The notes hold the networks of the first seed, which the chapter's interactive figure draws.

    Args:
        seeds: paired seeds.
        p: drop rate of the arm with dropout.
        width: hidden units.
        snapshots: numbers of steps at which the networks are measured, rising, multiples of a common step.
        threshold: a pair is called load-bearing if its synergy exceeds this many nats, in size: partners if it is
            negative, stand-ins if it is positive (see :func:`synergy`).
        lr: learning rate of Adam.
        n_train, n_test, noise: the task.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=n_train, n_test=n_test, noise=noise)
    test = task.test.open()
    rates = (0.0, p)
    arms = [f"p={rate:g}" for rate in rates]
    pairs = list(itertools.combinations(range(width), 2))
    taken: list[dict[str, Tensor]] = []

    def look(model: StackedMLP, step: int) -> None:
        if step not in snapshots:
            return
        alone, together = pair_synergy(model, test, 0, pairs)
        without = [removed(model, test.x, 0, [unit]) for unit in range(width)]
        taken.append(
            {
                "accuracy": 100 * evaluate(model, test)["accuracy"].flatten(),
                "single": alone,
                "synergy": together,
                "flips": 100 * flips(model, test.x, 0),
                "accuracy without": 100 * torch.stack([accuracy(logits, test.y) for logits in without], 1),
            }
        )

    model = StackedMLP((64, width, 10), task.seeds, rates)
    every = math.gcd(*snapshots)
    train(model, task.train, steps=max(snapshots), optimizer=adam(lr), watch=look, watch_every=every)
    shaped = [{name: _shaped(values, model) for name, values in shot.items()} for shot in taken]
    last = shaped[-1]
    size = last["synergy"].abs()
    values = {
        "accuracy, all units": last["accuracy"],
        "flips by the worst unit": last["flips"].amax(-1),
        "strongest pair": size.amax(-1),
        "mean pair": size.mean(-1),
        "mean pair over mean single removal": size.mean(-1) / last["single"].abs().mean(-1),
        "load-bearing pairs": (size > threshold).double().sum(-1),
        "of these partners": (last["synergy"] < -threshold).double().sum(-1),
        "of these stand-ins": (last["synergy"] > threshold).double().sum(-1),
    }
    notes = {
        "threshold": threshold,
        "steps": list(snapshots),
        "pairs": [list(pair) for pair in pairs],
        "nets": {
            arm: [
                {
                    "accuracy": float(shot["accuracy"][a, 0]),
                    **{key: shot[key][a, 0] for key in ("synergy", "flips", "accuracy without")},
                }
                for shot in shaped
            ]
            for a, arm in enumerate(arms)
        },
    }
    return make_record(
        "co-adaptation-small-nets",
        started=started,
        task=f"{task.name}; {n_test} clean test images; network 64-{width}-10",
        arms=arms,
        seeds=task.seeds,
        budget={"steps": max(snapshots), "learning rate": lr, "batch": 50},
        metrics={name: {arm: rows[a] for a, arm in enumerate(arms)} for name, rows in values.items()},
        units={
            "accuracy, all units": "%",
            "flips by the worst unit": "%",
            "strongest pair": "nats",
            "mean pair": "nats",
        },
        notes=notes,
    )


EXPERIMENTS = {
    "co-adaptation": removal,
    "co-adaptation-small-nets": small_nets,
    "co-adaptation-wrong-labels": wrong_labels,
}
