r"""Chapter 05: what the neighbours of a dropped cell still tell, and what it changes to drop whole channels instead.

Signs predicted before running. On a smooth map the survivors of the same channel tell most of a dropped cell, the more
the smoother it is; of a dropped channel its own map tells nothing. (Whether the OTHER channels tell it, the usual
tutorials do not ask: it is measured.) At equal rates channel masks disturb the logits of a trained network
more than cell masks. The usual tutorials predict that training with channel masks is the more accurate.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from companion.data import digits
from companion.experiments.protocol import Record, make_record, scores
from companion.layers.dropout import dropout
from companion.layers.spatial import spatial_dropout
from companion.masks import channel_mask, element_mask
from companion.models import Drop, StackedConvNet
from companion.nested import drop_levels
from companion.training import accuracy, adam, evaluate, train

__all__ = [
    "EXPERIMENTS",
    "accuracies",
    "average_pool",
    "field",
    "field_leakage",
    "leakage",
    "logit_noise",
    "observed_mask",
    "told",
]

# The masks that are compared; each is drawn for (N, C, H, W) and expanded to it.
MASKS = {
    "cells": element_mask,
    "channels": lambda x, p, generator=None: channel_mask(x, p, generator=generator).expand(x.shape),
}


def _drop(kind: str, p: float) -> Drop:
    layer = {"cells": dropout, "channels": spatial_dropout}[kind]
    return lambda x, generator: layer(x, p, generator=generator)


# --- looked up: who shares a coin -------------------------------------------------------------------------------------


def observed_mask(layer: nn.Module, shape: Sequence[int], seed: int = 0) -> tuple[tuple[int, ...] | None, str]:
    """Shape of the mask that a layer multiplies its input with, found by looking, and what the layer says to the shape.

    Args:
        layer: a dropout layer in training mode, with a rate well inside (0, 1).
        shape: shape of the input; the longer its axes, the surer is what is seen.
        seed: seed of the coins.

    Returns:
        The shape, with length 1 for each axis along which all entries share their coin, and "nothing" or "a warning";
        or None and "an error" if the layer refuses the input.
    """
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(record=True) as told_off:
        warnings.simplefilter("always")
        torch.manual_seed(seed)
        try:
            kept = layer(torch.ones(tuple(shape))) != 0
        except (TypeError, ValueError, RuntimeError):
            return None, "an error"
    shared = [bool((kept == kept.narrow(axis, 0, 1)).all()) for axis in range(kept.ndim)]
    lengths = tuple(1 if same else length for same, length in zip(shared, kept.shape, strict=True))
    return lengths, "a warning" if told_off else "nothing"


# --- exact: a random field --------------------------------------------------------------------------------------------


def field(side: int, length: float) -> Tensor:
    r"""Covariance of a smooth random map: :math:`\exp(-d^2 / 2 l^2)` for two cells at the distance d.

    Args:
        side: side of the square map in cells.
        length: correlation length l in cells; 0 gives white noise.

    Returns:
        Tensor[side^2, side^2] of ``torch.float64``.
    """
    if length < 0:
        raise ValueError(f"length must not be negative, got {length}")
    at = torch.cartesian_prod(torch.arange(side), torch.arange(side)).double()
    square = (at.unsqueeze(1) - at).square().sum(-1)
    return torch.exp(-square / (2 * length**2)) if length else (square == 0).double()


def told(covariance: Tensor, kept: Tensor, ridge: float = 1e-6) -> Tensor:
    r"""Share of each entry's variance that the best linear guess from the kept entries explains.

    .. math:: R^2_c = \frac{\Sigma_{cK}\,(\Sigma_{KK} + \lambda I)^{-1}\,\Sigma_{Kc}}{\Sigma_{cc}}

    Args:
        covariance: Tensor[n, n], :math:`\Sigma`.
        kept: Tensor[n] of bool or of ones and zeros.
        ridge: :math:`\lambda`, for a covariance that is nearly singular.

    Returns:
        Tensor[n]; for kept entries nearly 1. With nothing kept it is 0.
    """
    kept = kept.bool()
    cross = covariance[kept]
    inner = cross[:, kept] + ridge * torch.eye(int(kept.sum()), dtype=covariance.dtype)
    return (cross * torch.linalg.solve(inner, cross)).sum(0) / covariance.diagonal().clamp(min=1e-12)


def field_leakage(
    length: float,
    p: float = 0.5,
    side: int = 12,
    masks: int = 20,
    seed: int = 0,
    mask_of: Callable[..., Tensor] = element_mask,
) -> float:
    """Mean share of a dropped cell that the surviving cells of the same map tell: exact, averaged over masks.

    Args:
        length: correlation length of the map in cells; see :func:`field`.
        p: probability of dropping a cell.
        side: side of the map; cells nearer than 3 to its border are not counted.
        masks: number of masks.
        seed: seed of the masks.
        mask_of: draws the masks, ``mask_of(x, p, generator=...)`` for x of shape (masks, 1, side, side).
    """
    covariance, generator = field(side, length), torch.Generator().manual_seed(seed)
    inner = torch.zeros(side, side, dtype=torch.bool)
    inner[3:-3, 3:-3] = True
    shares = []
    for mask in mask_of(torch.empty(masks, 1, side, side), p, generator=generator).flatten(1):
        shares.append(told(covariance, mask)[inner.flatten() & (mask == 0)])
    return float(torch.cat(shares).mean())


# --- measured: the maps of trained networks ---------------------------------------------------------------------------


def leakage(seeds: Sequence[int] = range(8), p: float = 0.5, steps: int = 250, masks: int = 4) -> Record:
    """How well dropped cells of real maps are reconstructed, from their own channel and from all channels.

    The maps are those of networks that were trained without dropout. Weights of the reconstruction come from training
    images, the share of explained variance from test images. Predicted: near 1 for cells within their channel, 0 for
    channels (nothing of the map is left), and high for both from all channels, if channels are redundant.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=1200, n_test=597, noise=0.0)
    net = StackedConvNet(8, (8, 8), task.classes, task.seeds)
    train(net, task.train, steps=steps, batch=64, optimizer=adam(5e-3), progress="leakage")
    test = task.test.open()
    with torch.no_grad():
        seen, unseen = net.maps(task.train.x), net.maps(test.x)
    metrics: dict[str, dict[str, list[float]]] = {}
    for layer, (fit, check) in enumerate(zip(seen, unseen, strict=True), start=1):
        for kind, mask_of in MASKS.items():
            generator = torch.Generator().manual_seed(layer)
            for s in range(len(task.seeds)):
                mean, deviation = fit[s].mean(0), fit[s].std(0).clamp(min=1e-3)
                x, y = ((part[s] - mean) / deviation for part in (fit, check))
                draws = [mask_of(x[:1], p, generator=generator)[0] for _ in range(masks)]
                for source in ("its own channel", "all channels"):
                    shares = [_reconstructed(x, y, mask, source == "all channels") for mask in draws]
                    label = f"told by {source}, layer {layer}"
                    metrics.setdefault(label, {}).setdefault(kind, []).append(sum(shares) / masks)
    return make_record(
        "spatial-leakage",
        started=started,
        task=f"{task.name}; maps of 8 channels, 8 × 8, of networks trained without dropout",
        arms=tuple(MASKS),
        seeds=task.seeds,
        budget={"steps": steps, "batch": 64, "p": p, "masks": masks},
        metrics=metrics,
        notes=_shown(seen[0][0], unseen[0][0, 0]),
        tolerance={label: 0.02 for label in metrics},
    )


# The grid of rates and the masks of the interactive figure.
STEPS, DRAWS, SHOWN = 20, 12, 4


def shown_levels() -> list[str]:
    """Masks of the figure for all rates at once, nested; see :func:`companion.nested.drop_levels`."""
    return drop_levels(DRAWS, SHOWN * 64, steps=STEPS, seed=5)


def _shown(fit: Tensor, image: Tensor) -> dict[str, list]:
    """What the interactive figure shows: the liveliest maps of one image, and what its masks leave to be told.

    Args:
        fit: Tensor[n, C, H, W], maps of the training images.
        image: Tensor[C, H, W], maps of one test image.
    """
    channels = image.flatten(1).std(1).topk(SHOWN).indices.sort().values
    maps = image[channels] / image[channels].amax((1, 2), keepdim=True)
    levels = torch.tensor([[ord(letter) - 97 for letter in row] for row in shown_levels()]).view(DRAWS, SHOWN, 64)
    covariances = [fit[:, channel].flatten(1).double().T.corrcoef().nan_to_num() for channel in channels]
    shares = []
    for masks in levels:
        shares.append([])
        for step in range(STEPS + 1):
            kept = masks >= step
            found = [told(cov, mask, 1e-2)[~mask] for cov, mask in zip(covariances, kept, strict=True)]
            alive = [cov.diagonal()[~mask] > 0.5 for cov, mask in zip(covariances, kept, strict=True)]
            gone = torch.cat([share[lives] for share, lives in zip(found, alive, strict=True)])
            shares[-1].append(round(float(gone.mean()), 3) if len(gone) else 0.0)
    return {"maps": (99 * maps).round().int().tolist(), "told": shares}


def _reconstructed(x: Tensor, y: Tensor, mask: Tensor, together: bool) -> float:
    """Explained share of the variance of dropped inner cells: weights fitted on ``x``, share measured on ``y``.

    Args:
        x, y: Tensor[n, C, H, W], standardised.
        mask: Tensor[C, H, W].
        together: from the survivors of all channels, instead of those of the same channel.
    """
    inner = torch.zeros(x.shape[2:], dtype=torch.bool)
    inner[2:-2, 2:-2] = True
    gone = (mask == 0) & inner
    errors, variances = [], []
    groups = [slice(None)] if together else [slice(c, c + 1) for c in range(x.shape[1])]
    for group in groups:
        kept, target = mask[group].flatten().bool(), gone[group].flatten()
        if not bool(target.any()):
            continue
        fit, check = x[:, group].flatten(1).double(), y[:, group].flatten(1).double()
        guess = torch.zeros_like(check[:, target])
        if bool(kept.any()):
            a, b = fit[:, kept], fit[:, target]
            ridge = (0.03 if together else 0.01) * len(a) * torch.eye(a.shape[1], dtype=a.dtype)
            guess = check[:, kept] @ torch.linalg.solve(a.T @ a + ridge, a.T @ b)
        errors.append((check[:, target] - guess).square().mean(0))
        variances.append(check[:, target].square().mean(0))
    alive = torch.cat(variances) > 1e-2  # a cell that is always off has nothing to tell
    return 1 - float((torch.cat(errors)[alive] / torch.cat(variances)[alive]).clamp(max=1).mean())


def logit_noise(seeds: Sequence[int] = range(8), p: float = 0.5, steps: int = 300, draws: int = 5) -> Record:
    """Variance that masks add to the logits of networks trained without any, over the variance of the logits.

    Predicted: more with channels, whose noise an average over the map cannot cancel.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=1000, n_test=500, noise=0.0)
    net = StackedConvNet(8, (8, 12), task.classes, task.seeds, pool="average")
    train(net, task.train, steps=steps, optimizer=adam(3e-3), progress="noise of logits")
    test = task.test.open()
    metrics: dict[str, dict[str, Tensor]] = {"noise / signal": {}, "accuracy lost": {}}
    with torch.no_grad():
        plain = net(test.x)
        maps = net.maps(test.x)[-1]
        signal = plain.var(1).mean(-1)
        for kind in MASKS:
            generator, noise, right = torch.Generator().manual_seed(1), 0.0, 0.0
            for _ in range(draws):
                logits = net.read(_drop(kind, p)(maps.flatten(0, 1), generator).view(maps.shape))
                noise = noise + (logits - plain).square().mean((1, 2)) / draws
                right = right + accuracy(logits, test.y) / draws
            metrics["noise / signal"][kind] = noise / signal
            metrics["accuracy lost"][kind] = 100 * (accuracy(plain, test.y) - right)
    return make_record(
        "spatial-noise",
        started=started,
        task=f"{task.name}; masks behind the second convolution, at test time only",
        arms=tuple(MASKS),
        seeds=task.seeds,
        budget={"steps": steps, "p": p, "draws": draws},
        metrics=metrics,
        units={"accuracy lost": "%"},
    )


def accuracies(
    seeds: Sequence[int] = range(8),
    rates: Sequence[float] = (0.3, 0.5),
    steps: int = 300,
    batch: int = 32,
    pool: Literal["max", "average"] = "max",
) -> Record:
    """Cells against channels, both behind every convolution, at equal rates.

    Predicted by the usual tutorials: channels are more accurate. The experiments that chose the sizes did not see it.
    With average pooling the record is called "spatial-average-pool".
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=300, n_test=800, noise=0.2)
    arms = {"none": None} | {f"{kind}, p = {p:g}": _drop(kind, p) for p in rates for kind in MASKS}
    net = StackedConvNet(8, (12, 16), task.classes, task.seeds, tuple(arms.values()), pool=pool)
    train(net, task.train, steps=steps, batch=batch, progress="cells against channels")
    return make_record(
        "spatial-accuracy" if pool == "max" else "spatial-average-pool",
        started=started,
        task=task.name if pool == "max" else f"{task.name}; average pooling",
        seeds=task.seeds,
        budget={"steps": steps, "batch": batch},
        **scores(list(arms), evaluate(net, task.test.open())),
    )


def average_pool(seeds: Sequence[int] = range(8)) -> Record:
    """:func:`accuracies` at p = 0.5 with average in place of max pooling, which a mask of cells does not distort.

    Predicted: the loss that dropped cells cost beside dropped channels comes from the max pooling and is gone.
    """
    return accuracies(seeds, rates=(0.5,), pool="average")


EXPERIMENTS = {
    "spatial-leakage": leakage,
    "spatial-noise": logit_noise,
    "spatial-accuracy": accuracies,
    "spatial-average-pool": average_pool,
}
