r"""Chapter 08: which cells a block really hits, what it hides from the neighbours, and whether that pays.

Signs predicted before running. The realised rate of every cell follows from the number of blocks that cover it. The
larger the block beside the correlation length, the less the ring around it tells of its centre. Blocks hide a cell from
its own map, and only blocks that are cut out of all channels at once hide it from the other maps too: so on wrong
labels blocks should gain more than cells, and shared blocks most. The usual tutorials predict that a rate which grows
during training beats a constant one; the control is a rate that falls.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from companion.data import digits
from companion.experiments.protocol import Record, make_record, scores
from companion.experiments.spatial_dropout import field, told
from companion.layers.dropblock import drop_block, seed_rate
from companion.layers.dropout import dropout
from companion.layers.spatial import spatial_dropout
from companion.masks import block_mask
from companion.models import Drop, StackedConvNet
from companion.schedules import Ramp, advance
from companion.training import Optimizer, adam, evaluate, train

__all__ = ["EXPERIMENTS", "accuracies", "blocks", "counted_rate_map", "ramps", "told_by_the_ring"]


# --- exact ------------------------------------------------------------------------------------------------------------


def blocks(block_size: int) -> Callable[..., Tensor]:
    """Masks of blocks in which every cell is dropped with probability p: ``mask(x, p, generator=...)``."""

    def mask(x: Tensor, p: float, generator: torch.Generator | None = None) -> Tensor:
        rate = seed_rate(x.shape[2:], p, block_size, "uniform")
        return block_mask(x, rate, block_size, padded=True, generator=generator)

    return mask


def told_by_the_ring(length: float, block_size: int, side: int = 13) -> float:
    """Share of the centre of one dropped block that the rest of its map tells: exact.

    Args:
        length: correlation length of the map in cells; see :func:`companion.experiments.spatial_dropout.field`.
        block_size: side of the block in the middle of the map, odd.
        side: side of the map, odd.
    """
    if not block_size % 2 or not side % 2 or block_size > side:
        raise ValueError(f"block_size and side must be odd, block_size at most side, got {block_size} and {side}")
    kept = torch.ones(side, side)
    first = (side - block_size) // 2
    kept[first : first + block_size, first : first + block_size] = 0
    return float(told(field(side, length), kept.flatten())[side * side // 2])


def counted_rate_map(
    shape: Sequence[int], p: float, block_size: int, calibrate: str, maps: int = 4000, seed: int = 0
) -> Tensor:
    """How often each cell is zero after :func:`companion.layers.dropblock.drop_block`, counted: Tensor[*shape]."""
    generator = torch.Generator().manual_seed(seed)
    y = drop_block(torch.ones(maps, 1, *shape), p, block_size, True, calibrate, generator=generator)
    return (y == 0).double().mean((0, 1))


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


def accuracies(seeds: Sequence[int] = range(8), p: float = 0.5, steps: int = 300, batch: int = 32) -> Record:
    """Cells, blocks and channels, each with masks of its own for every channel or shared by all of them.

    Predicted: blocks that all channels share are best, and neither blocks nor sharing does it alone.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=300, n_test=800, noise=0.2)
    models = len(task.seeds)
    arms: dict[str, Drop | None] = {
        "none": None,
        "cells": lambda x, generator: dropout(x, p, generator=generator),
        "cells, shared": _shared_cells(p),
        "blocks": _blocks(models, p, shared=False),
        "blocks, shared": _blocks(models, p, shared=True),
        "channels": lambda x, generator: spatial_dropout(x, p, generator=generator),
    }
    net = StackedConvNet(8, (12, 16), task.classes, task.seeds, tuple(arms.values()))
    train(net, task.train, steps=steps, batch=batch, progress="cells, blocks, channels")
    return make_record(
        "block-accuracy",
        started=started,
        task=task.name,
        seeds=task.seeds,
        budget={"steps": steps, "batch": batch, "p": p, "block": 3},
        **scores(list(arms), evaluate(net, task.test.open())),
    )


def _advancing(optimizer: Optimizer, ramps: nn.Module) -> Optimizer:
    """The optimizer, after each of whose steps the ramps move on."""

    def make(parameters: Any) -> torch.optim.Optimizer:
        made = optimizer(parameters)
        made.register_step_post_hook(lambda *_: advance(ramps))
        return made

    return make


def ramps(seeds: Sequence[int] = range(8), p: float = 0.7, steps: int = 300, batch: int = 32) -> Record:
    """A constant rate against one that grows from 0, and the control: one that falls to 0.

    Predicted by the usual tutorials: the growing one is best.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=300, n_test=800, noise=0.2)
    models = len(task.seeds)
    moving = nn.ModuleDict({"grows": Ramp(0.0, p, steps), "falls": Ramp(p, 0.0, steps)})
    arms: dict[str, Drop | None] = {"constant": _blocks(models, p, shared=False)}
    arms |= {name: _blocks(models, ramp, shared=False) for name, ramp in moving.items()}
    net = StackedConvNet(8, (8, 12), task.classes, task.seeds, tuple(arms.values()))
    train(
        net, task.train, steps=steps, batch=batch, optimizer=_advancing(adam(3e-3), moving), progress="rates that move"
    )
    return make_record(
        "block-ramp",
        started=started,
        task=task.name,
        seeds=task.seeds,
        budget={"steps": steps, "batch": batch, "p": p, "block": 3},
        **scores(list(arms), evaluate(net, task.test.open())),
    )


EXPERIMENTS = {"block-accuracy": accuracies, "block-ramp": ramps}
