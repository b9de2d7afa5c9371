r"""Chapter 10: where to put dropout: the same networks, the same budget, and one site at a time.

Signs predicted before running. In the MLP: inputs at 0.2 and both hidden layers beat both hidden layers, these beat
either hidden layer alone, and each of those beats none; the logits at 0.5 gain least, and their loss on new data is the
highest of all. In the convolutional network: the input is the most fragile site. In the residual network: dropout on
the branch beats dropout on the sum. The usual tutorials predict that inputs should not be dropped at all, that
convolutions need low rates and layers near the output lower ones.
"""

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from companion.batchnorm import moments, predicted_shift
from companion.data import Task, digits
from companion.experiments.protocol import Record, make_record, scores
from companion.layers.dropout import dropout
from companion.models import PlacedConvNet, PlacedMLP, PlacedResidualMLP, Stacked
from companion.training import Optimizer, adam, adamw, evaluate, train

__all__ = [
    "CONV_RATES",
    "EXPERIMENTS",
    "MLP_ARMS",
    "MORE_ARMS",
    "RESIDUAL_ARMS",
    "commutes",
    "conv",
    "conv_clean",
    "dropped_logits",
    "energy_after",
    "logit_floor",
    "mlp",
    "mlp_more",
    "pooled_shift",
    "residual",
]

# --- exact ------------------------------------------------------------------------------------------------------------


def dropped_logits(logits: Sequence[float], target: int, p: float) -> tuple[float, float]:
    """Cross-entropy of one example without dropout, and expected over all masks on its logits: exact.

    Args:
        logits: one number a class.
        target: the right class.
        p: probability of dropping a logit, below 1; survivors are divided by 1 - p.

    Returns:
        The two losses, in nats.
    """
    z = torch.tensor(logits, dtype=torch.float64)
    masks = torch.tensor(list(itertools.product((0.0, 1.0), repeat=len(z))), dtype=torch.float64)
    chances = (masks * (1 - p) + (1 - masks) * p).prod(1)
    losses = -(masks * z / (1 - p)).log_softmax(1)[:, target]
    return float(-z.log_softmax(0)[target]), float(chances @ losses)


def logit_floor(classes: int, p: float) -> float:
    r"""The smallest cross-entropy that any logits can have in expectation, if logits are dropped: exact.

    A dropped logit is 0. If the right one is dropped and j of the others are, no logits can do better than
    :math:`\ln(1 + j)`; a large right logit and very negative wrong ones come as close as one likes:

    .. math:: p \sum_{j=0}^{K-1} \binom{K-1}{j} p^j (1-p)^{K-1-j} \ln(1 + j)

    Args:
        classes: number K of classes.
        p: probability of dropping a logit, below 1.
    """
    others = classes - 1
    return p * math.fsum(math.comb(others, j) * p**j * (1 - p) ** (others - j) * math.log1p(j) for j in range(classes))


def commutes(activation: Callable[[Tensor], Tensor], p: float = 0.5) -> dict[str, float]:
    """Largest differences that tell whether dropout and an activation can change places, on a grid in [-4, 4].

    Args:
        activation: works element by element.
        p: probability of dropping, below 1.

    Returns:
        "mask": of a dropped unit, whose output before the activation is f(0) and behind it 0. "scale": of a kept unit,
        whose output before the activation is f(h / (1 - p)) and behind it f(h) / (1 - p).
    """
    h = torch.linspace(-4, 4, 801, dtype=torch.float64)
    k = 1 - p
    return {
        "mask": float(activation(torch.zeros(1, dtype=torch.float64)).abs()),
        "scale": float((activation(h / k) - activation(h) / k).abs().max()),
    }


def energy_after(p: float, blocks: int) -> dict[str, float]:
    """What dropout on the sum does to one unit of the shortcut through ``blocks`` residual blocks whose branch is 0.

    Args:
        p: probability of dropping, below 1.
        blocks: number of blocks.

    Returns:
        "alive": the probability that the unit arrives at all; "energy": its mean square at the end over that at the
        start. Both are 1 with dropout on the branch.
    """
    return {"alive": (1 - p) ** blocks, "energy": (1 - p) ** -blocks}


def pooled_shift(p: float, positions: int, channels: int = 0, seed: int = 0) -> dict[str, float]:
    """Variance at evaluation over variance in training of a pooled ReLU map, dropped before or behind the pooling.

    The positions of a map are independent, each ReLU of a standard normal number.

    Args:
        p: probability of dropping.
        positions: number of positions that global average pooling takes the mean of.
        channels: if positive, also measures both ratios on that many maps.
        seed: seed of maps and masks.

    Returns:
        "before" and "behind", in closed form; with ``channels`` also "before, measured" and "behind, measured".
    """
    mean, variance = moments("relu")
    found = {
        "before": predicted_shift(p, mean=mean, variance=variance),
        "behind": predicted_shift(p, mean=mean, variance=variance / positions),
    }
    if channels:
        generator = torch.Generator().manual_seed(seed)
        maps = torch.randn(channels, positions, generator=generator, dtype=torch.float64).relu()
        pooled = maps.mean(1)
        before = dropout(maps, p, generator=generator).mean(1)
        behind = dropout(pooled, p, generator=generator)
        found["before, measured"] = float(pooled.var() / before.var())
        found["behind, measured"] = float(pooled.var() / behind.var())
    return found


# --- trained networks -------------------------------------------------------------------------------------------------

Rates = Mapping[str, float]

# Nine choices; the hidden layer next to the output is the head's.
MLP_ARMS: Mapping[str, Rates] = {
    "none": {},
    "input 0.2": {"input": 0.2},
    "input 0.5": {"input": 0.5},
    "hidden 1 at 0.5": {"hidden 1": 0.5},
    "hidden 2 at 0.5": {"hidden 2": 0.5},
    "both hidden 0.5": {"hidden 1": 0.5, "hidden 2": 0.5},
    "input 0.2, both hidden 0.5": {"input": 0.2, "hidden 1": 0.5, "hidden 2": 0.5},
    "logits 0.2": {"logits": 0.2},
    "logits 0.5": {"logits": 0.5},
}
MORE_ARMS = ("none", "input 0.2", "both hidden 0.5", "input 0.2, both hidden 0.5", "logits 0.5")
CONV_RATES = (0.1, 0.2, 0.3, 0.5, 0.7)
RESIDUAL_ARMS: Mapping[str, Rates] = {"none": {}, "branch 0.2": {"branch": 0.2}, "sum 0.2": {"sum": 0.2}}

Network = Callable[[Task, Sequence[Rates]], Stacked]


def _trained_apart(
    name: str,
    draw: Callable[[Sequence[int]], Task],
    network: Network,
    groups: Sequence[Mapping[str, Rates]],
    seeds: Sequence[int],
    *,
    steps: int,
    batch: int,
    optimizer: Optimizer,
    budget: Mapping[str, object],
    together: int,
) -> Record:
    """Trains every group of arms apart, and every few seeds, so that a part of the record can be repeated alone."""
    started = time.perf_counter()
    arms = [arm for group in groups for arm in group]
    found: dict[str, dict[str, list[float]]] = {}
    for first in range(0, len(seeds), together):
        block = list(seeds)[first : first + together]
        for group in groups:
            task = draw(block)
            net = network(task, list(group.values()))
            label = f"{name}, {', '.join(group)}"
            train(net, task.train, steps=steps, batch=batch, optimizer=optimizer, mask_seed=block[0], progress=label)
            parts = scores(list(group), evaluate(net, task.test.open()))
            for metric, values in parts["metrics"].items():
                for arm in group:
                    found.setdefault(metric, {}).setdefault(arm, []).extend(values[arm].tolist())
    return make_record(
        name,
        started=started,
        task=task.name,
        arms=tuple(arms),
        seeds=tuple(seeds),
        budget={"steps": steps, "batch": batch, **budget},
        metrics=found,
        units=parts["units"],
    )


def mlp(
    arms: Sequence[str] = tuple(MLP_ARMS),
    seeds: Sequence[int] = range(10),
    *,
    n_train: int = 200,
    steps: int = 600,
    n_test: int = 1000,
    width: int = 128,
    together: int = 10,
) -> Record:
    """An MLP with dropout at nine choices of sites and rates, each trained apart.

    Args:
        arms: which choices, names of ``MLP_ARMS``.
        seeds: paired seeds.
        n_train: number of training images; with 500 the record is "placement-mlp-500".
        steps: optimizer steps.
        n_test: number of test images.
        width: units of each of the two hidden layers.
        together: seeds that are trained at once; a part of a record holds whole blocks of them.
    """
    name = "placement-mlp" if n_train == 200 else f"placement-mlp-{n_train}"
    return _trained_apart(
        name,
        lambda block: digits(block, n_train=n_train, n_test=n_test, noise=0.2),
        lambda task, rates: PlacedMLP((64, width, width, task.classes), task.seeds, rates),
        [{arm: MLP_ARMS[arm]} for arm in arms],
        seeds,
        steps=steps,
        batch=50,
        optimizer=adamw(1e-3, 0.0),
        budget={"AdamW": 1e-3, "weight decay": 0},
        together=together,
    )


def mlp_more(arms: Sequence[str] = MORE_ARMS, seeds: Sequence[int] = range(10)) -> Record:
    """Five of the choices with 500 images and 1,500 steps, in blocks of five seeds."""
    return mlp(arms, seeds, n_train=500, steps=1500, together=5)


def conv(
    sites: Sequence[str] = PlacedConvNet.SITES,
    seeds: Sequence[int] = range(10),
    *,
    noise: float = 0.2,
    rates: Sequence[float] = CONV_RATES,
    steps: int = 350,
    n_test: int = 600,
    channels: tuple[int, int] = (12, 16),
) -> Record:
    """A convolutional network with dropout at one of six sites; every site is trained apart, in blocks of five seeds.

    Args:
        sites: which sites, names of ``PlacedConvNet.SITES``; the arm "none" is always trained.
        seeds: paired seeds.
        noise: share of wrong labels; without any the record is "placement-conv-clean".
        rates: probabilities of dropping.
        steps: optimizer steps.
        n_test: number of test images.
        channels: channels of the two convolutions.
    """
    return _trained_apart(
        "placement-conv" if noise else "placement-conv-clean",
        lambda block: digits(block, n_train=300, n_test=n_test, noise=noise),
        lambda task, arms: PlacedConvNet(8, channels, 64, task.classes, task.seeds, arms),
        [{"none": {}}, *({f"{site} {p:g}": {site: p} for p in rates} for site in sites)],
        seeds,
        steps=steps,
        batch=32,
        optimizer=adam(3e-3),
        budget={"Adam": 3e-3},
        together=5,
    )


def conv_clean(sites: Sequence[str] = ("input", "conv 1", "dense"), seeds: Sequence[int] = range(10)) -> Record:
    """Three of the sites at 0.5, with right labels only."""
    return conv(sites, seeds, noise=0.0, rates=(0.5,))


def residual(
    arms: Sequence[str] = tuple(RESIDUAL_ARMS),
    seeds: Sequence[int] = range(16),
    *,
    blocks: int = 12,
    steps: int = 400,
    n_test: int = 1000,
    width: int = 32,
) -> Record:
    """A residual network with dropout on the branch, before the addition, or on the sum; each trained apart.

    Args:
        arms: which choices, names of ``RESIDUAL_ARMS``.
        seeds: paired seeds.
        blocks: number of residual blocks.
        steps: optimizer steps.
        n_test: number of test images.
        width: units of every layer.
    """
    return _trained_apart(
        "placement-residual",
        lambda block: digits(block, n_train=300, n_test=n_test, noise=0.2),
        lambda task, rates: PlacedResidualMLP(64, width, task.classes, blocks, task.seeds, rates),
        [{arm: RESIDUAL_ARMS[arm]} for arm in arms],
        seeds,
        steps=steps,
        batch=50,
        optimizer=adam(3e-3),
        budget={"Adam": 3e-3, "blocks": blocks},
        together=8,
    )


EXPERIMENTS = {
    "placement-mlp": mlp,
    "placement-mlp-500": mlp_more,
    "placement-conv": conv,
    "placement-conv-clean": conv_clean,
    "placement-residual": residual,
}
