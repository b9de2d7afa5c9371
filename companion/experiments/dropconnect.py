r"""Chapter 06: dropping weights instead of units: what is the same, what is not, and what inference can do about it.

Signs predicted before running. Each output of a layer has the same distribution under both; the covariance of two
outputs is that of shared coins under dropout, and 0 under DropConnect. For the mean of an activation, normal moments
are nearer than the mean weights, and draws of the normal distribution nearer still. At equal rates DropConnect moves
the outputs of a network less than dropout does, because its noise does not add up over units: so it regularizes less.
"""

import time
from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.data import Examples, digits
from companion.ensembles import enumerate_masks
from companion.experiments.protocol import Record, make_record, scores
from companion.layers.dropconnect import (
    DropConnectLinear,
    drop_connect_linear,
    expected_relu,
    gaussian_mean,
    gaussian_moments,
)
from companion.layers.dropout import Dropout, dropout
from companion.training import accuracy, batches, nll

__all__ = [
    "EXPERIMENTS",
    "accuracies",
    "all_outputs",
    "covariance",
    "inference",
    "mean_activation",
    "mean_of_relu",
    "noise",
]


# --- exact: all masks of a small layer --------------------------------------------------------------------------------


def all_outputs(weight: Tensor, x: Tensor, p: float, dropped: Literal["units", "weights"]) -> tuple[Tensor, Tensor]:
    """What a linear layer says under every mask there is.

    Args:
        weight: Tensor[O, I], with O x I of at most 24 if weights are dropped, and I of at most 24 if units are.
        x: Tensor[I], the input.
        p: probability of dropping, below 1.
        dropped: "units", the inputs of the layer (dropout), or "weights" (DropConnect). Both divide by 1 - p.

    Returns:
        The outputs, Tensor[masks, O], and the probabilities of the masks, Tensor[masks].
    """
    if dropped not in ("units", "weights"):
        raise ValueError(f'dropped must be "units" or "weights", got {dropped!r}')
    x, weight = x.double(), weight.double()
    if dropped == "units":
        masks, probability = enumerate_masks(x.numel(), p)
        outputs = (masks * x) @ weight.T
    else:
        masks, probability = enumerate_masks(weight.numel(), p)
        outputs = (masks.view(-1, *weight.shape) * weight) @ x
    return outputs / (1 - p), probability


def covariance(outputs: Tensor, probability: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, Tensor[O], and covariance, Tensor[O, O], of what :func:`all_outputs` returns."""
    mean = probability @ outputs
    away = outputs - mean
    return mean, (probability.unsqueeze(1) * away).T @ away


def mean_activation(outputs: Tensor, probability: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """Exact mean of an activation, Tensor[O], over all masks."""
    return probability @ activation(outputs)


def mean_of_relu(
    seeds: Sequence[int] = range(10), rates: Sequence[float] = (0.2, 0.5, 0.8), inputs: int = 16, units: int = 50
) -> Record:
    """Two ways to guess the mean of ReLU over all masks, against the enumeration of all of them.

    Predicted: the normal moments are nearer at every rate, and the mean weights err to the low side (Jensen).
    """
    started = time.perf_counter()
    metrics: dict[str, dict[str, list[float]]] = {}
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(units, inputs, dtype=torch.float64, generator=generator)
        x = torch.randn(inputs, dtype=torch.float64, generator=generator)
        for p in rates:
            # One output alone has the same distribution under both kinds of masks, so masks of the inputs will do.
            exact = mean_activation(*all_outputs(weight, x, p, "units"), torch.relu)
            guesses = {
                "mean weights": (weight @ x).relu(),
                "normal moments": expected_relu(*gaussian_moments(x, weight, p=p)),
            }
            for arm, guess in guesses.items():
                error = guess - exact
                for label, value in (("RMSE", error.square().mean().sqrt()), ("bias", error.mean())):
                    metrics.setdefault(f"{label}, p = {p:g}", {}).setdefault(arm, []).append(float(value))
    return make_record(
        "dropconnect-relu",
        started=started,
        task=f"units with {inputs} inputs, normal weights and inputs; all {2**inputs:,} masks",
        arms=("mean weights", "normal moments"),
        seeds=tuple(seeds),
        budget={"units": units},
        metrics=metrics,
        tolerance={label: 1e-6 for label in metrics},
    )


# --- trained networks -------------------------------------------------------------------------------------------------


def _network(kind: str, p: float, seed: int) -> nn.Sequential:
    """64-64-64-10 with masks at the second layer only: on its inputs, on its weights, or none."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        first, second, last = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)
    if kind == "weights":
        second = DropConnectLinear.from_linear(second, p, per_example=True)
    elif kind == "weights, one mask a batch":
        second = DropConnectLinear.from_linear(second, p)
    drop = Dropout(p) if kind == "units" else nn.Identity()
    return nn.Sequential(first, nn.ReLU(), drop, second, nn.ReLU(), last)


def _trained(kind: str, p: float, s: int, seed: int, examples: Examples, index: Tensor, lr: float) -> nn.Sequential:
    net = _network(kind, p, seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, fused=True)
    with torch.random.fork_rng([]):
        torch.manual_seed(2_000_003 + seed)  # of the masks
        for chosen in index:
            optimizer.zero_grad()
            F.cross_entropy(net(examples.x[s, chosen]), examples.y[s, chosen]).backward()
            optimizer.step()
    return net.eval()


def accuracies(
    seeds: Sequence[int] = range(16), steps: int = 400, batch: int = 50, rates: Sequence[float] = (0.5, 0.8)
) -> Record:
    """Dropout of 64 units against DropConnect of the 64 x 64 weights behind them, a mask for each example.

    Predicted: both gain on wrong labels; at equal rates DropConnect gains less, and needs a higher rate.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=300, n_test=800, noise=0.2)
    index = batches(task.seeds, 300, steps, batch)
    test = task.test.open()
    settings = {"none": ("none", 0.0)} | {
        f"{kind}, p = {p:g}": (kind, p) for p in rates for kind in ("units", "weights")
    }
    logits = []
    for kind, p in settings.values():
        for s, seed in enumerate(task.seeds):
            net = _trained(kind, p, s, seed, task.train, index[s], 3e-3)
            with torch.no_grad():
                logits.append(net(test.x[s]))
    said, shape = torch.stack(logits), (len(settings), len(task.seeds))
    found = {"accuracy": accuracy(said, test.y).view(shape), "nll": nll(said, test.y).view(shape)}
    return make_record(
        "dropconnect-accuracy",
        started=started,
        task=task.name,
        seeds=task.seeds,
        budget={"steps": steps, "batch": batch},
        **scores(list(settings), found),
    )


def noise(
    seeds: Sequence[int] = range(8), p: float = 0.5, steps: int = 400, masks: int = 40, images: int = 60
) -> Record:
    """How much masks of either kind move single outputs of the layer, and how much they move the logits behind it.

    The networks were trained without masks. Noise is the variance over masks as a share of the variance over images.
    Predicted: the same for single outputs, whose law is the same; less in the logits under DropConnect.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=300, n_test=800, noise=0.2)
    index = batches(task.seeds, 300, steps, 50)
    test = task.test.open()
    found: dict[str, dict[str, list[float]]] = {"noise in one output": {}, "noise in the logits": {}}
    for s, seed in enumerate(task.seeds):
        net = _trained("none", 0.0, s, seed, task.train, index[s], 3e-3)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            h, layer, last = net[0](test.x[s, :images]).relu(), net[3], net[5]
            ways = {
                "units": lambda h=h, layer=layer, g=generator: layer(dropout(h, p, generator=g)),
                "weights": lambda h=h, layer=layer, g=generator: drop_connect_linear(
                    h, layer.weight, layer.bias, p, per_example=True, generator=g
                ),
            }
            for arm, way in ways.items():
                outputs = torch.stack([way() for _ in range(masks)])
                for metric, said, still in (
                    ("noise in one output", outputs, layer(h)),
                    ("noise in the logits", last(outputs.relu()), last(layer(h).relu())),
                ):
                    share = said.var(0).mean() / still.var(0).mean()
                    found[metric].setdefault(arm, []).append(float(share))
    return make_record(
        "dropconnect-noise",
        started=started,
        task=f"{task.name}; networks trained without masks, {masks} masks on {images} test images",
        arms=("units", "weights"),
        seeds=task.seeds,
        budget={"steps": steps, "batch": 50, "p": p},
        metrics=found,
    )


def inference(
    seeds: Sequence[int] = range(8), p: float = 0.5, steps: int = 400, reference: int = 200, images: int = 200
) -> Record:
    """How far each way of inference is from the average over masks, in networks trained with DropConnect.

    The distance is the divergence KL(average over masks || method), averaged over test images. Predicted: one pass with
    the mean weights is farthest, the closed form of the normal moments nearer, and draws of the normal distribution
    come as near as draws of masks, which cost a product of matrices each.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=300, n_test=800, noise=0.2)
    index = batches(task.seeds, 300, steps, 50)
    test = task.test.open()
    found: dict[str, dict[str, list[float]]] = {"KL": {}, "accuracy": {}}
    for s, seed in enumerate(task.seeds):
        net = _trained("weights", p, s, seed, task.train, index[s], 3e-3)
        x, y = test.x[s, :images], test.y[s, :images]
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad(), torch.random.fork_rng([]):
            torch.manual_seed(seed)
            h, layer, last = net[0](x).relu(), net[3], net[5]
            mean, variance = gaussian_moments(h, layer.weight, layer.bias, p)

            def head(u: Tensor, last: nn.Linear = last) -> Tensor:
                return last(u.relu()).softmax(-1)

            def over_masks(draws: int, h: Tensor = h, layer: nn.Module = layer, head: Callable = head) -> Tensor:
                layer.train()
                average = sum(head(layer(h)) for _ in range(draws)) / draws
                layer.eval()
                return average

            truth = over_masks(reference)
            ways = {
                "one pass": head(layer(h)),
                "normal, closed form": last(expected_relu(mean, variance)).softmax(-1),
                "normal, 10 draws": gaussian_mean(mean, variance, head, 10, generator=generator),
                "normal, 100 draws": gaussian_mean(mean, variance, head, 100, generator=generator),
                "10 masks": over_masks(10),
                "100 masks": over_masks(100),
            }
        for arm, probabilities in ways.items():
            divergence = (truth * (truth.log() - probabilities.log())).sum(-1).mean()
            found["KL"].setdefault(arm, []).append(float(divergence))
            right = (probabilities.argmax(-1) == y).double().mean()
            found["accuracy"].setdefault(arm, []).append(100 * float(right))
    return make_record(
        "dropconnect-inference",
        started=started,
        task=f"{task.name}; {images} test images, {reference} masks as the reference",
        arms=tuple(found["KL"]),
        seeds=task.seeds,
        budget={"steps": steps, "batch": 50, "p": p},
        metrics=found,
        units={"KL": "nats", "accuracy": "%"},
    )


EXPERIMENTS = {
    "dropconnect-relu": mean_of_relu,
    "dropconnect-accuracy": accuracies,
    "dropconnect-inference": inference,
    "dropconnect-noise": noise,
}
