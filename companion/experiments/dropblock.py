r"""Chapter 08: which cells a block really hits, what it hides from the neighbours, and whether that pays.

Signs predicted before running. The realised rate of every cell follows from the number of blocks that cover it. The
larger the block beside the correlation length, the less the ring around it tells of its centre. Blocks hide a cell from
its own map, and only blocks that are cut out of all channels at once hide it from the other maps too: so on wrong
labels blocks should gain more than cells, and shared blocks most. The usual tutorials predict that a rate which grows
during training beats a constant one; the control is a rate that falls.
"""

import importlib.metadata
import json
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.bench.peers import find
from companion.data import digits
from companion.experiments.protocol import Found, Record, in_blocks, make_record, scores
from companion.experiments.spatial_dropout import field, told
from companion.layers.dropblock import drop_block, rate_map, seed_rate
from companion.layers.dropout import dropout
from companion.layers.spatial import spatial_dropout
from companion.masks import block_mask
from companion.models import Drop, StackedConvNet
from companion.schedules import Ramp, advance
from companion.training import Optimizer, adam, evaluate, train

__all__ = [
    "EXPERIMENTS",
    "LIBRARIES",
    "accuracies",
    "blocks",
    "check_installed",
    "counted_rate_map",
    "library_counts",
    "ramps",
    "rate_around",
    "told_by_the_ring",
]


# --- exact ------------------------------------------------------------------------------------------------------------


def blocks(block_size: int) -> Callable[..., Tensor]:
    """Masks of blocks in which every cell is dropped with probability p: ``mask(x, p, generator=...)``."""

    def mask(x: Tensor, p: float, generator: torch.Generator | None = None) -> Tensor:
        rate = seed_rate(x.shape[2:], p, block_size, "uniform")
        return block_mask(x, rate, block_size, padded=True, generator=generator)

    return mask


def told_by_the_ring(length: float, block_size: int, side: int = 13, rough: bool = False) -> float:
    r"""Share of the centre of one dropped block that the rest of its map tells: exact.

    Args:
        length: correlation length l of the map in cells.
        block_size: side of the block in the middle of the map, odd.
        side: side of the map, odd.
        rough: take the correlation :math:`\exp(-d/l)` for two cells at the distance d, that of a map as jagged as a
            random walk, in place of the smooth :func:`companion.experiments.spatial_dropout.field`.
    """
    if not block_size % 2 or not side % 2 or block_size > side:
        raise ValueError(f"block_size and side must be odd, block_size at most side, got {block_size} and {side}")
    if rough and length <= 0:
        raise ValueError(f"length must be positive for a rough map, got {length}")
    at = torch.cartesian_prod(torch.arange(side), torch.arange(side)).double()
    covariance = torch.exp(-torch.cdist(at, at) / length) if rough else field(side, length)
    kept = torch.ones(side, side)
    first = (side - block_size) // 2
    kept[first : first + block_size, first : first + block_size] = 0
    return float(told(covariance, kept.flatten())[side * side // 2])


def counted_rate_map(
    shape: Sequence[int], p: float, block_size: int, calibrate: str, maps: int = 4000, seed: int = 0
) -> Tensor:
    """How often each cell is zero after :func:`companion.layers.dropblock.drop_block`, counted: Tensor[*shape]."""
    generator = torch.Generator().manual_seed(seed)
    y = drop_block(torch.ones(maps, 1, *shape), p, block_size, True, calibrate, generator=generator)
    return (y == 0).double().mean((0, 1))


# --- exact: the rules of three libraries ------------------------------------------------------------------------------


def rate_around(seeds: Tensor, block: Sequence[int]) -> Tensor:
    r"""The probability, cell by cell, of being dropped, if a seed that fires drops the block *around* it: exact.

    .. math:: P_i = 1 - \prod_{j:\, i \in \mathrm{block}(j)} (1 - \gamma_j)

    Args:
        seeds: Tensor[H, W] of float64, the probability :math:`\gamma_j` that the seed at a cell fires.
        block: height and width of a block in cells, at most those of the map; of an even one the longer half lies
            before the seed.
    """
    pads = [size // 2 for size in block]
    # Sums over windows; a seed that is certain has the logarithm -inf, and the cells of its block the survival 0.
    logs = F.avg_pool2d(torch.log1p(-seeds)[None], tuple(block), stride=1, padding=pads, divisor_override=1)[0]
    rows, columns = (1 - size % 2 for size in block)
    return -torch.expm1(logs[rows:, columns:])


def _whole_blocks(shape: Sequence[int], p: float, k: int) -> Tensor | None:
    """torchvision: seeds where a whole block fits, at the rate of the paper; it refuses even blocks."""
    return rate_map(shape, p, k, "paper") if min(k, *shape) % 2 else None


def _seeds_anywhere(shape: Sequence[int], p: float, k: int) -> Tensor:
    """timm since 1.0.23: the rate of the paper for places where a whole block fits, and seeds on all cells."""
    gamma = seed_rate(shape, p, k, "paper")
    return rate_around(torch.full(tuple(shape), gamma, dtype=torch.float64), [min(k, length) for length in shape])


def _no_border(shape: Sequence[int], p: float, k: int) -> Tensor:
    """dropblock: p / k^2, as if the map had no border, and seeds on all cells."""
    side = max(k, *shape)  # a block larger than the map: seen on a larger map whose other cells have no seeds
    seeds = torch.zeros(side, side, dtype=torch.float64)
    seeds[: shape[0], : shape[1]] = p / k**2
    return rate_around(seeds, (k, k))[: shape[0], : shape[1]]


# Name of a library, as in the records of companion.bench: what its rule makes of (shape, p, block_size), cell by cell.
LIBRARIES: Mapping[str, Callable[[Sequence[int], float, int], Tensor | None]] = {
    "torchvision": _whole_blocks,
    "timm": _seeds_anywhere,
    "dropblock": _no_border,
}


def library_counts() -> tuple[dict[str, str], dict[int, dict[str, float | None]]]:
    """Shares of dropped cells that ``companion.bench`` counted in the libraries themselves, p = 0.1, blocks of 7.

    Returns:
        The version of each library; and, for the side of each map, the counted share by library, None where the
        library refused.
    """
    text = resources.files("companion.bench").joinpath("records", "cpu-default.json").read_text(encoding="utf-8")
    record = json.loads(text)
    counts: dict[int, dict[str, float | None]] = {}
    for case in record["counts"]:
        if case["group"] == "rates":
            found = {name: case["others"][name] for name in LIBRARIES}
            shares = {name: share if isinstance(share, float) else None for name, share in found.items()}
            counts[int(case["case"].split("×")[0])] = shares
    return {name: record["made"]["versions"][name] for name in LIBRARIES}, counts


def check_installed(side: int = 14, p: float = 0.1, block_size: int = 7, maps: int = 20_000) -> list[str]:
    """Counts what installed libraries drop, in the versions that were audited, and compares with their rules.

    Returns:
        The libraries that were checked: none where none is installed in the audited version.

    Raises:
        AssertionError: if a library drops another share than its rule in ``LIBRARIES`` says.
    """
    versions, _ = library_counts()
    calls = {
        "torchvision": ("torchvision.ops.drop_block", "drop_block2d", {}),
        "timm": ("timm.layers.drop", "drop_block_2d", {"couple_channels": False}),
    }
    checked = []
    for name, (module, function, options) in calls.items():
        try:
            if importlib.metadata.version(name) != versions[name]:
                continue
        except importlib.metadata.PackageNotFoundError:
            continue
        if (layer := find(module, function)) is None:
            continue
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            share = (layer(torch.ones(maps, 1, side, side), p, block_size, **options) == 0).double().mean((1, 2, 3))
        expected = float(LIBRARIES[name]((side, side), p, block_size).mean())
        error = 4.5 * float(share.std()) / maps**0.5
        if abs(float(share.mean()) - expected) > error:
            raise AssertionError(f"{name} drops {float(share.mean()):.4f} of the cells, its rule says {expected:.4f}")
        checked.append(name)
    return checked


# --- trained networks -------------------------------------------------------------------------------------------------


def _each(models: int, layer: Callable[[Tensor, torch.Generator | None], Tensor]) -> Drop:
    """Applies a layer to the maps of each model apart: DropBlock scales by what was kept of all that it is given."""
    return lambda x, generator: torch.cat([layer(part, generator) for part in x.chunk(models)])


def _blocks(models: int, p: float | Ramp, shared: bool, block_size: int = 3) -> Drop:
    def layer(x: Tensor, generator: torch.Generator | None) -> Tensor:
        rate = float(p.p) if isinstance(p, Ramp) else p
        return drop_block(x, rate, block_size, calibrate="uniform", share_channels=shared, generator=generator)

    return _each(models, layer)


def _shared_cells(p: float) -> Drop:
    def drop(x: Tensor, generator: torch.Generator | None) -> Tensor:
        gate = dropout(torch.ones_like(x[:, :1]), p, generator=generator)
        return x * gate

    return drop


def _compared(
    name: str,
    seeds: Sequence[int],
    channels: Sequence[int],
    arms_of: Callable[[int], tuple[dict[str, Drop | None], Optimizer | None]],
    budget: dict[str, Any],
    size: int = 8,
) -> Record:
    """Trains one network for each arm and seed on digits with wrong labels, in blocks of seeds.

    Args:
        name: name of the record.
        seeds: paired seeds.
        channels: channels of the two convolutions.
        arms_of: for a number of networks that train at once, what each arm drops, and the optimizer.
        budget: steps, batch and what else is told in the record.
        size: number of seeds that train at once.
    """
    started, parts = time.perf_counter(), {}

    def measure(block: Sequence[int]) -> Found:
        task = digits(block, n_train=300, n_test=800, noise=0.2)
        arms, optimizer = arms_of(len(block))
        net = StackedConvNet(8, channels, task.classes, block, tuple(arms.values()))
        limits = {key: budget[key] for key in ("steps", "batch")}
        train(net, task.train, **limits, optimizer=optimizer, mask_seed=block[0], progress=name)
        parts.update(scores(list(arms), evaluate(net, task.test.open())), task=task.name)
        return parts["metrics"]

    parts["metrics"] = in_blocks(measure, seeds, size)
    return make_record(name, started=started, seeds=seeds, budget=budget, **parts)


def accuracies(seeds: Sequence[int] = range(24), p: float = 0.5, steps: int = 300, batch: int = 32) -> Record:
    """Cells, blocks and channels, each with masks of its own for every channel or shared by all of them.

    Predicted: blocks that all channels share are best, and neither blocks nor sharing does it alone.
    """

    def arms_of(models: int) -> tuple[dict[str, Drop | None], None]:
        return {
            "none": None,
            "cells": lambda x, generator: dropout(x, p, generator=generator),
            "cells, shared": _shared_cells(p),
            "blocks": _blocks(models, p, shared=False),
            "blocks, shared": _blocks(models, p, shared=True),
            "channels": lambda x, generator: spatial_dropout(x, p, generator=generator),
        }, None

    budget = {"steps": steps, "batch": batch, "p": p, "block": 3}
    return _compared("block-accuracy", seeds, (12, 16), arms_of, budget, size=6)  # six seeds fit into a chapter's time


def _advancing(optimizer: Optimizer, ramps: nn.Module) -> Optimizer:
    """The optimizer, after each of whose steps the ramps move on."""

    def make(parameters: Any) -> torch.optim.Optimizer:
        made = optimizer(parameters)
        made.register_step_post_hook(lambda *_: advance(ramps))
        return made

    return make


def ramps(seeds: Sequence[int] = range(16), p: float = 0.7, steps: int = 300, batch: int = 32) -> Record:
    """A constant rate against one that grows from 0, and the control: one that falls to 0.

    Predicted by the usual tutorials: the growing one is best.
    """

    def arms_of(models: int) -> tuple[dict[str, Drop | None], Optimizer]:
        moving = nn.ModuleDict({"grows": Ramp(0.0, p, steps), "falls": Ramp(p, 0.0, steps)})
        arms: dict[str, Drop | None] = {"constant": _blocks(models, p, shared=False)}
        arms |= {name: _blocks(models, ramp, shared=False) for name, ramp in moving.items()}
        return arms, _advancing(adam(3e-3), moving)

    return _compared("block-ramp", seeds, (8, 12), arms_of, {"steps": steps, "batch": batch, "p": p, "block": 3})


EXPERIMENTS = {"block-accuracy": accuracies, "block-ramp": ramps}
