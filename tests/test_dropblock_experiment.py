"""Chapter 08's experiment: rates of cells, what the ring tells, masks of the arms, and the rest at a tiny size."""

import importlib.metadata

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion.experiments import dropblock as experiment
from companion.experiments.dropblock import (
    LIBRARIES,
    _advancing,
    _blocks,
    _shared_cells,
    accuracies,
    blocks,
    check_installed,
    counted_rate_map,
    library_counts,
    ramps,
    rate_around,
    told_by_the_ring,
)
from companion.experiments.protocol import load
from companion.experiments.spatial_dropout import field_leakage
from companion.figures import dropblock as pictures
from companion.layers.dropblock import rate_map
from companion.schedules import Ramp
from companion.training import adam
from companion.widgets.dropblock import block_levels, dropblock_figure


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


def test_a_rough_map_tells_less_far():
    # In one dimension such a map forgets: only the nearest neighbours tell. On the plane nearly so.
    assert told_by_the_ring(2.0, 5, rough=True) < 0.25 < 0.8 < told_by_the_ring(2.0, 5)
    assert told_by_the_ring(0.01, 1, rough=True) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="length must be positive"):
        told_by_the_ring(0.0, 1, rough=True)


# ---- the rules of libraries, against drawing as their sources draw -----------------------------------------------


def paper_gamma(height, width, p, k):
    return p * height * width / k**2 / ((height - k + 1) * (width - k + 1))


def drawn(library, maps, height, width, p, k):
    """Cells that are gone, drawn as the library draws; seeds are the middle of their blocks."""
    if library == "torchvision":
        k = min(k, height, width)
        seeds = torch.zeros(maps, 1, height - k + 1, width - k + 1).bernoulli_(paper_gamma(height, width, p, k))
        return F.max_pool2d(F.pad(seeds, [k // 2] * 4), k, stride=1, padding=k // 2)
    if library == "timm":
        high, wide = min(k, height), min(k, width)
        gamma = p * height * width / (high * wide) / ((height - high + 1) * (width - wide + 1))
        seeds = torch.zeros(maps, 1, height, width).bernoulli_(gamma)
        gone = F.max_pool2d(seeds, (high, wide), stride=1, padding=(high // 2, wide // 2))
        return gone[..., (high + 1) % 2 :, (wide + 1) % 2 :]
    gone = F.max_pool2d(torch.zeros(maps, 1, height, width).bernoulli_(p / k**2), k, stride=1, padding=k // 2)
    return gone if k % 2 else gone[:, :, :-1, :-1]


@pytest.mark.parametrize(
    ("library", "height", "width", "k"),
    [
        ("torchvision", 9, 7, 3),
        ("torchvision", 7, 7, 7),
        ("timm", 9, 7, 3),
        ("timm", 8, 8, 4),
        ("timm", 6, 9, 7),
        ("timm", 7, 7, 7),
        ("dropblock", 9, 7, 3),
        ("dropblock", 6, 6, 7),
    ],
)
def test_rules_of_libraries(library, height, width, k):
    torch.manual_seed(1)
    maps, p = 20_000, 0.1
    found = drawn(library, maps, height, width, p, k).double().mean((0, 1))
    expected = LIBRARIES[library]((height, width), p, k)
    assert bool(((found - expected).abs() <= 4.5 * (expected * (1 - expected) / maps).sqrt() + 1e-9).all())


def test_a_library_may_refuse():
    assert LIBRARIES["torchvision"]((6, 6), 0.1, 7) is None and LIBRARIES["torchvision"]((8, 8), 0.1, 4) is None


def test_seeds_that_are_certain_drop_their_blocks():
    seeds = torch.zeros(5, 5, dtype=torch.float64)
    seeds[1, 1] = 1
    expected = torch.zeros(5, 5, dtype=torch.float64)
    expected[:3, :3] = 1
    assert torch.equal(rate_around(seeds, (3, 3)), expected)


def test_what_was_counted_in_the_libraries_is_what_their_rules_say():
    versions, counts = library_counts()
    assert versions.keys() == LIBRARIES.keys() and {7, 14, 56} <= counts.keys()
    for side, found in counts.items():
        for library, share in found.items():
            rates = LIBRARIES[library]((side, side), 0.1, 7)
            assert (share is None) == (rates is None)
            if share is not None:
                assert share == pytest.approx(float(rates.mean()), abs=0.0015)


def test_installed_libraries_are_counted_if_their_version_was_audited(monkeypatch):
    versions, _ = library_counts()

    def layer(library, factor=1.0):
        def drop(x, p, block_size, **options):
            return 1 - drawn(library, len(x), *x.shape[2:], factor * p, block_size)

        return drop

    layers = {"torchvision.ops.drop_block": layer("torchvision"), "timm.layers.drop": layer("timm")}
    monkeypatch.setattr(importlib.metadata, "version", versions.__getitem__)
    monkeypatch.setattr(experiment, "find", lambda module, name: layers.get(module))
    state = torch.random.get_rng_state()
    assert check_installed() == ["torchvision", "timm"]
    assert torch.equal(state, torch.random.get_rng_state())
    layers["timm.layers.drop"] = layer("timm", 0.8)
    with pytest.raises(AssertionError, match="timm drops"):
        check_installed()
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0")
    assert check_installed() == []


# ---- the figure and the pictures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("calibrate", ["exact", "uniform"])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_nested_masks_have_the_rates_of_the_layer(k, calibrate):
    levels = block_levels(4000, 6, k, calibrate, steps=5, seed=3)
    for step in (1, 3, 4):
        expected = rate_map((6, 6), step / 5, k, calibrate)
        error = 4.9 * (expected * (1 - expected) / 4000).sqrt()
        assert bool((((levels < step).double().mean(0) - expected).abs() < error).all())
    assert bool((levels < 5).all())


def test_the_figure_ships_masks_of_whole_blocks_and_the_rates_of_the_layer():
    state = dropblock_figure().state
    for size in (2, 3, 5):
        for letters in state["levels"]["whole"][size - 1]:
            gone = torch.tensor([ord(letter) - 97 < 6 for letter in letters]).view(1, 1, 8, 8).float()
            seeds = 1 - F.max_pool2d(1 - gone, size, stride=1)
            assert torch.equal(F.max_pool2d(F.pad(seeds, [size - 1] * 4), size, stride=1), gone)
        assert state["rates"][size - 1][6][0] == round(1000 * float(rate_map((8, 8), 0.3, size)[0, 0]))
    assert dropblock_figure().fallback.count("<rect") == 128


def test_pictures_say_what_they_show():
    maps = {"whole": rate_map((6, 6), 0.1, 3, "paper"), "cut": rate_map((6, 6), 0.1, 3, "uniform")}
    assert "cut: corner 0.100, centre 0.100, mean 0.100" in pictures.rate_maps(maps, 0.1).alt
    rates = pictures.library_rates([7, 14], {"one": [0.5, 0.2]}, {"one": {7: 0.51, 14: None}}, 0.1)
    assert "one: 0.500 at 7 cells, 0.200 at 14" in rates.alt
    told = pictures.told_by_size([0.0, 1.0], {1: [0.0, 0.9], 3: [0.0, 0.1]})
    assert "1 by 1: from 1 cells on; 3 by 3: nowhere here" in told.alt
    effects = pictures.effects(load("block-ramp"), "constant")
    gain = load("block-ramp").effect("accuracy", "grows", "constant")
    assert f"accuracy, grows: {gain:.2f}" in effects.alt and "constant:" not in effects.alt


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
