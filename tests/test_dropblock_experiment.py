"""Chapter 08's experiment: rates of cells, what the ring tells, masks of the arms, and the rest at a tiny size."""

import pytest
import torch
from torch import nn

from companion.experiments.dropblock import (
    _advancing,
    _blocks,
    _shared_cells,
    accuracies,
    blocks,
    counted_rate_map,
    ramps,
    told_by_the_ring,
)
from companion.experiments.spatial_dropout import field_leakage
from companion.layers.dropblock import rate_map
from companion.schedules import Ramp
from companion.training import adam


@pytest.mark.parametrize("calibrate", ["exact", "uniform", "paper"])
def test_counted_rates_are_those_of_the_map(calibrate):
    expected = rate_map((6, 9), 0.3, 4, calibrate)
    counted = counted_rate_map((6, 9), 0.3, 4, calibrate)
    assert bool(((counted - expected).abs() < 4.9 * (expected * (1 - expected) / 4000).sqrt()).all())


def test_the_ring_tells_less_of_a_larger_block():
    shares = [told_by_the_ring(2.0, k) for k in (1, 3, 5, 7)]
    assert shares == sorted(shares, reverse=True) and shares[0] > 0.99 and shares[-1] < 0.5
    assert told_by_the_ring(0.0, 1) == pytest.approx(0) and told_by_the_ring(3.0, 5) > told_by_the_ring(1.0, 5)
    with pytest.raises(ValueError, match="must be odd"):
        told_by_the_ring(1.0, 4)


def test_masks_of_blocks_drop_every_cell_alike_and_hide_more():
    mask = blocks(3)(torch.empty(5000, 1, 7, 7), 0.4, generator=torch.Generator().manual_seed(0))
    share = 1 - mask.double().mean((0, 1))
    assert bool(((share - 0.4).abs() < 4.5 * (0.24 / 5000) ** 0.5).all())
    assert field_leakage(1.0, masks=4, mask_of=blocks(3)) < field_leakage(1.0, masks=4) - 0.1


def test_arms_share_what_they_say():
    x = torch.ones(60, 5, 8, 8)
    generator = torch.Generator().manual_seed(1)
    for shared, drop in (
        (False, _blocks(4, 0.5, shared=False)),
        (True, _blocks(4, 0.5, shared=True)),
        (True, _shared_cells(0.5)),
    ):
        y = drop(x, generator)
        gone = y == 0
        assert bool((gone == gone[:, :1]).all()) == shared and abs(float(gone.double().mean()) - 0.5) < 0.08
    # Each model has its own scale: what was kept of the others does not count.
    y = _blocks(4, 0.5, shared=False)(x, generator)
    for part in y.chunk(4):
        assert float(part.mean()) == pytest.approx(1, abs=1e-5)
    assert len({float(part.max()) for part in y.chunk(4)}) > 1


def test_ramps_move_with_the_steps():
    ramp = Ramp(0.0, 0.6, 3)
    weight = nn.Parameter(torch.zeros(1))
    optimizer = _advancing(adam(0.1), nn.ModuleList([ramp]))([weight])
    rates = []
    for _ in range(4):
        rates.append(float(ramp.p))
        weight.grad = torch.ones(1)
        optimizer.step()
    assert rates == pytest.approx([0.0, 0.2, 0.4, 0.6])
    drop = _blocks(1, ramp, shared=False)
    assert 0.4 < float((drop(torch.ones(200, 2, 8, 8), None) == 0).double().mean()) < 0.8


def test_records_at_a_tiny_size():
    record = accuracies(seeds=(0, 1), steps=2)
    assert record.arms == ("none", "cells", "cells, shared", "blocks", "blocks, shared", "channels")
    assert ramps(seeds=(0, 1), steps=2).arms == ("constant", "grows", "falls")
