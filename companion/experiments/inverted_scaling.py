r"""Chapter 03: what the factor 1/(1-p) repairs, what its absence breaks, and whether the two repairs train alike.

Signs predicted before running. Without any scale, activations at test are :math:`(1/(1-p))^l` times those of training
behind l dropout layers; the loss rises; accuracy falls only in deep networks, and not at all in bias-free ReLU
networks, where all logits grow by one common factor. Scaling at test and scaling in training agree in expectation, but
unscaled training starts with smaller signals and gradients, so that it is behind after the same number of steps.
Training with dropout takes more steps than training without.
"""

import itertools
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from companion.data import Examples, digits
from companion.experiments.protocol import Record, make_record
from companion.models import StackedMLP
from companion.training import accuracy, adam, evaluate, nll, train
from companion.uncertainty import expected_calibration_error

__all__ = [
    "EXPERIMENTS",
    "calibration_error",
    "convergence",
    "expected_outputs",
    "homogeneity",
    "pooled",
    "schemes_deep",
    "schemes_shallow",
]

_ARMS = ("naive", "vanilla", "inverted")


def expected_outputs(x: float, p: float) -> dict[str, tuple[float, float]]:
    """Expected output of a unit in training and at evaluation, for the three schemes.

    Args:
        x: what the unit computes before dropout.
        p: probability of dropping.

    Returns:
        scheme -> (training, evaluation).
    """
    k = 1 - p
    return {"naive": (k * x, x), "vanilla": (k * x, k * x), "inverted": (k * (x / k) if k else 0.0, x)}


def pooled(values: Sequence[float], p: float) -> tuple[float, float]:
    """Expected maximum of inverted-dropout values, and the maximum at evaluation: max-pooling breaks the matching.

    Args:
        values: activations in one pooling window.
        p: probability of dropping, below 1.

    Returns:
        (expectation in training over all masks, value at evaluation).
    """
    k = 1 - p
    expectation = 0.0
    for mask in itertools.product((0, 1), repeat=len(values)):
        kept = sum(mask)
        highest = max(m * value / k for m, value in zip(mask, values, strict=True))
        expectation += p ** (len(values) - kept) * k**kept * highest
    return expectation, max(values)


def calibration_error(logits: Tensor, y: Tensor, bins: int = 15) -> Tensor:
    """Expected calibration error of each model; see :func:`companion.uncertainty.expected_calibration_error`.

    Args:
        logits: Tensor[models, n, classes].
        y: Tensor[seeds, n] of labels.
        bins: number of equally wide bins of the confidence in [0, 1].

    Returns:
        Tensor[models], between 0 and 1.
    """
    y = y.repeat(logits.shape[0] // y.shape[0], 1)
    return expected_calibration_error(logits.double().softmax(-1), y, bins)


def _mean_activations(model: StackedMLP, x: Tensor, draws: int) -> Tensor:
    """Mean output of every dropout site behind a hidden layer, averaged over ``draws`` passes: (sites, models)."""
    with torch.no_grad():
        return torch.stack([torch.stack([h.mean((1, 2)) for h in model.hidden(x)]) for _ in range(draws)]).mean(0)


def _test_over_train(model: StackedMLP, x: Tensor, draws: int = 8) -> Tensor:
    """Mean activation at evaluation over mean activation in training, for every site: (sites, models)."""
    model.generator = torch.Generator().manual_seed(1)
    in_training = _mean_activations(model.train(), x, draws)
    return _mean_activations(model.eval(), x, 1) / in_training


def _schemes(
    name: str,
    widths: Sequence[int],
    p: float,
    seeds: Sequence[int],
    steps: int,
    longer: int,
    lr: float,
    n_train: int,
    n_test: int,
) -> Record:
    started = time.perf_counter()
    task = digits(seeds, n_train=n_train, n_test=n_test, noise=0.0)
    test = task.test.open()
    long_arms = (f"vanilla, {longer} × steps", f"inverted, {longer} × steps") if longer > 1 else ()
    metrics: dict[str, dict[str, Tensor]] = {"accuracy": {}, "NLL": {}, "ECE": {}}
    ratios: dict[str, Tensor] = {}

    def report(model: StackedMLP, arm: str) -> None:
        with torch.no_grad():
            logits = model(test.x)
        metrics["accuracy"][arm] = 100 * accuracy(logits, test.y)
        metrics["NLL"][arm] = nll(logits, test.y)
        metrics["ECE"][arm] = 100 * calibration_error(logits, test.y)

    # Naive and vanilla training are one and the same: what differs is the scale at test.
    for trained_as in ("vanilla", "inverted"):
        model = StackedMLP(widths, task.seeds, (p,), scheme=trained_as)

        def watch(model: StackedMLP, step: int, trained_as: str = trained_as) -> None:
            if step == steps:
                training_masks = model.generator
                for arm in ("naive", "vanilla") if trained_as == "vanilla" else ("inverted",):
                    model.scheme = arm
                    report(model, arm)
                    ratios[arm] = _test_over_train(model, test.x)
                model.scheme, model.generator = trained_as, training_masks
            elif step == longer * steps:
                report(model, f"{trained_as}, {longer} × steps")

        train(
            model,
            task.train,
            steps=longer * steps,
            optimizer=adam(lr),
            watch=watch,
            watch_every=steps,
            progress=f"{name}: {trained_as}",
        )
    layers = len(widths) - 2
    for layer in range(layers):
        metrics[f"test/train ratio, layer {layer + 1}"] = {arm: ratios[arm][layer] for arm in _ARMS}
    arms = (*_ARMS, *long_arms)
    metrics = {metric: {arm: values[arm] for arm in arms if arm in values} for metric, values in metrics.items()}
    return make_record(
        name,
        started=started,
        task=task.name,
        arms=arms,
        seeds=task.seeds,
        budget={"widths": "-".join(map(str, widths)), "p": p, "steps": steps, "batch": 50, "Adam": lr},
        metrics=metrics,
        units={"accuracy": "%", "NLL": "nats", "ECE": "%"},
        tolerance={metric: 0.02 * (1 / (1 - p)) ** layers for metric in metrics if metric.startswith("test/train")},
        curves={"ratio": {"x": list(range(1, layers + 1))} | {arm: ratios[arm].T for arm in _ARMS}},
    )


def schemes_shallow(
    *,
    widths: Sequence[int] = (64, 128, 128, 10),
    p: float = 0.5,
    seeds: Sequence[int] = tuple(range(12)),
    steps: int = 800,
    lr: float = 2e-3,
    n_train: int = 500,
    n_test: int = 1000,
) -> Record:
    """Question: what does a missing scale do to a network of two hidden layers?

    Arms: naive and vanilla (the same trained weights), inverted. Predicted before running: the test/train ratio of
    naive is 1/(1-p) to the power of the layer; its NLL rises; its accuracy hardly moves.

    Args:
        widths: units of every layer.
        p: probability of dropping behind every hidden layer.
        seeds: paired seeds.
        steps: optimizer steps.
        lr: learning rate of Adam.
        n_train, n_test: number of images.
    """
    return _schemes("scaling-shallow", widths, p, seeds, steps, 1, lr, n_train, n_test)


def schemes_deep(
    *,
    widths: Sequence[int] = (64, 64, 64, 64, 64, 10),
    p: float = 0.5,
    seeds: Sequence[int] = tuple(range(12)),
    steps: int = 800,
    longer: int = 3,
    lr: float = 2e-3,
    n_train: int = 500,
    n_test: int = 1000,
) -> Record:
    """Question: the same for four hidden layers; and are vanilla and inverted one method?

    Arms: naive and vanilla (the same trained weights), inverted, and the last two after ``longer`` times the steps.
    Predicted before running: naive loses accuracy against vanilla; vanilla is behind inverted at equal steps, and less
    so with more steps.

    Args:
        widths: units of every layer.
        p: probability of dropping behind every hidden layer.
        seeds: paired seeds.
        steps: optimizer steps.
        longer: how many times more steps the long arms take.
        lr: learning rate of Adam.
        n_train, n_test: number of images.
    """
    return _schemes("scaling-deep", widths, p, seeds, steps, longer, lr, n_train, n_test)


def homogeneity(
    *,
    widths: Sequence[int] = (64, 128, 128, 128, 10),
    p: float = 0.5,
    seeds: Sequence[int] = tuple(range(5)),
    steps: int = 800,
    lr: float = 2e-3,
    n_train: int = 1000,
    n_test: int = 797,
) -> Record:
    """Question: what does a forgotten scale do to a ReLU network without biases, and to one with?

    Arms: networks with and without biases, trained without scale, evaluated with the scale of the vanilla scheme and
    without any. Predicted before running: without biases all logits grow by exactly (1/(1-p))^layers, so that every
    answer stays the same, and NLL rises; with biases some answers change.

    Args:
        widths: units of every layer.
        p: probability of dropping behind every hidden layer.
        seeds: paired seeds.
        steps: optimizer steps.
        lr: learning rate of Adam.
        n_train, n_test: number of images.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=n_train, n_test=n_test, noise=0.0)
    test = task.test.open()
    metrics: dict[str, dict[str, Tensor]] = {
        name: {} for name in ("accuracy", "NLL", "ECE", "logit ratio", "same answer")
    }
    for bias in (False, True):
        words = "biases" if bias else "no biases"
        model = StackedMLP(widths, task.seeds, (p,), scheme="vanilla", bias=bias)
        train(model, task.train, steps=steps, optimizer=adam(lr), progress=f"homogeneity: {words}")
        logits = {}
        for scheme, label in (("vanilla", "scaled"), ("naive", "unscaled")):
            model.scheme = scheme
            with torch.no_grad():
                logits[label] = model(test.x)
            arm = f"{words}, {label}"
            metrics["accuracy"][arm] = 100 * accuracy(logits[label], test.y)
            metrics["NLL"][arm] = nll(logits[label], test.y)
            metrics["ECE"][arm] = 100 * calibration_error(logits[label], test.y)
        norms = [logits[label].double().flatten(1).norm(dim=1) for label in ("unscaled", "scaled")]
        metrics["logit ratio"][f"{words}, unscaled"] = norms[0] / norms[1]
        same = logits["unscaled"].argmax(-1) == logits["scaled"].argmax(-1)
        metrics["same answer"][f"{words}, unscaled"] = 100 * same.double().mean(1)
    return make_record(
        "homogeneity",
        started=started,
        task=task.name,
        arms=tuple(metrics["accuracy"]),
        seeds=task.seeds,
        budget={"widths": "-".join(map(str, widths)), "p": p, "steps": steps, "batch": 50, "Adam": lr},
        metrics=metrics,
        units={"accuracy": "%", "NLL": "nats", "ECE": "%", "same answer": "%"},
    )


def convergence(
    *,
    widths: Sequence[int] = (64, 128, 128, 10),
    rates: Sequence[float] = (0.0, 0.5),
    seeds: Sequence[int] = tuple(range(12)),
    steps: int = 500,
    every: int = 10,
    goal: float = 0.99,
    lr: float = 2e-3,
    n_train: int = 500,
    n_test: int = 1000,
) -> Record:
    """Question: how many steps does training take with dropout, and without?

    Arms: rates of (inverted) dropout. Measured: the first step, of every ``every``, at which the share ``goal`` of the
    training images is classified rightly in evaluation mode; ``steps`` if it is never reached. Predicted before
    running: more steps with dropout.

    Args:
        widths: units of every layer.
        rates: probabilities of dropping behind every hidden layer, one an arm.
        seeds: paired seeds.
        steps: most steps taken.
        every: steps between two looks.
        goal: share of training images to be classified rightly.
        lr: learning rate of Adam.
        n_train, n_test: number of images.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=n_train, n_test=n_test, noise=0.0)
    model = StackedMLP(widths, task.seeds, rates)
    training: Examples = task.train
    seen: list[Tensor] = []
    train(
        model,
        training,
        steps=steps,
        optimizer=adam(lr),
        watch=lambda model, step: seen.append(evaluate(model, training)["accuracy"]),
        watch_every=every,
        progress="convergence",
    )
    curve = torch.stack(seen, -1)  # arms, seeds, looks
    at = torch.arange(curve.shape[-1], dtype=torch.float64) * every
    reached = curve >= goal
    first = torch.where(reached, at, float(steps)).min(-1).values
    arms = tuple(f"p = {rate:g}" for rate in rates)
    result = evaluate(model, task.test.open())
    return make_record(
        "convergence",
        started=started,
        task=task.name,
        arms=arms,
        seeds=task.seeds,
        budget={"widths": "-".join(map(str, widths)), "steps": steps, "batch": 50, "Adam": lr},
        metrics={
            f"steps to {goal:.0%} of the training images": dict(zip(arms, first, strict=True)),
            "test accuracy at the end": {arm: 100 * result["accuracy"][a] for a, arm in enumerate(arms)},
        },
        units={"test accuracy at the end": "%"},
        curves={"training accuracy": {"x": at} | dict(zip(arms, 100 * curve, strict=True))},
    )


EXPERIMENTS = {
    "scaling-shallow": schemes_shallow,
    "scaling-deep": schemes_deep,
    "homogeneity": homogeneity,
    "convergence": convergence,
}
