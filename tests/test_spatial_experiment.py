"""Chapter 05's experiment: what is told of a dropped cell, in closed form, on made-up maps, and at a tiny size."""

import pytest
import torch
from torch import nn

from companion.experiments.protocol import load
from companion.experiments.spatial_dropout import (
    DRAWS,
    MASKS,
    SHOWN,
    STEPS,
    _reconstructed,
    accuracies,
    field,
    field_leakage,
    leakage,
    logit_noise,
    observed_mask,
    told,
)
from companion.figures import spatial_dropout as pictures
from companion.layers.spatial import SpatialDropout1d, SpatialDropout2d


@pytest.mark.parametrize(
    ("layer", "shape", "mask", "said"),
    [
        (nn.Dropout(0.5), (16, 20, 6, 6), (16, 20, 6, 6), "nothing"),
        (nn.Dropout2d(0.5), (16, 20, 6, 6), (16, 20, 1, 1), "nothing"),
        (SpatialDropout2d(0.5), (16, 20, 6, 6), (16, 20, 1, 1), "nothing"),
        (SpatialDropout1d(0.5), (16, 20, 6), (16, 20, 1), "nothing"),
        (nn.Dropout1d(0.5), (64, 128), (64, 1), "nothing"),
        (nn.Dropout2d(0.5), (64, 128), (64, 128), "a warning"),
        (nn.Dropout2d(0.5), (16, 20, 6), (16, 20, 1), "a warning"),
        (SpatialDropout1d(0.5), (64, 128), None, "an error"),
        (nn.Dropout(0.5).eval(), (16, 20), (1, 1), "nothing"),
    ],
)
def test_observed_mask(layer, shape, mask, said):
    before = torch.random.get_rng_state()
    assert observed_mask(layer, shape) == (mask, said)
    assert torch.equal(before, torch.random.get_rng_state())


def test_field_is_a_covariance_with_the_stated_correlation():
    covariance = field(5, 1.5)
    assert covariance.shape == (25, 25) and torch.equal(covariance, covariance.T)
    assert bool((torch.linalg.eigvalsh(covariance) > -1e-12).all())
    neighbour, diagonal = covariance[12, 13], covariance[12, 18]
    torch.testing.assert_close(torch.stack([neighbour, diagonal]), torch.exp(-torch.tensor([1.0, 2.0]).double() / 4.5))
    assert torch.equal(field(4, 0), torch.eye(16, dtype=torch.float64))
    with pytest.raises(ValueError, match="length must not be negative, got -1"):
        field(4, -1)


def test_told_is_the_conditional_variance():
    """One minus the variance that is left, by the inverse of the covariance: another way to the same number."""
    root = torch.randn(7, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    covariance = root @ root.T
    kept = torch.tensor([1, 0, 1, 1, 0, 0, 1])
    share = told(covariance, kept, ridge=0.0)
    for cell in (1, 4, 5):
        inner = [i for i in range(7) if kept[i] or i == cell]
        precision = torch.linalg.inv(covariance[inner][:, inner])
        left = 1 / precision[inner.index(cell), inner.index(cell)]
        assert float(share[cell]) == pytest.approx(float(1 - left / covariance[cell, cell]), abs=1e-9)
    assert share[kept.bool()].tolist() == pytest.approx([1.0] * 4)
    assert bool((told(covariance, torch.zeros(7)) == 0).all())


def test_smooth_maps_leak_and_noise_does_not():
    shares = [field_leakage(length, masks=5) for length in (0, 0.5, 1.0, 2.0)]
    assert abs(shares[0]) < 1e-9 and shares == sorted(shares) and 0.5 < shares[2] < 0.8 and shares[3] > 0.95
    assert field_leakage(1.0, p=0.2, masks=5) > shares[2] > field_leakage(1.0, p=0.8, masks=5)


def test_reconstruction_finds_what_is_there_and_nothing_else():
    """Two channels of noise that are copies of each other: all is told by the other channel, nothing by its own."""
    x, y = torch.randn(2, 400, 1, 8, 8, generator=torch.Generator().manual_seed(1)).repeat(1, 1, 2, 1, 1)
    mask = torch.ones(2, 8, 8)
    mask[0, 3, 3] = mask[0, 4, 5] = 0
    assert _reconstructed(x, y, mask, together=True) > 0.98
    assert _reconstructed(x, y, mask, together=False) < 0.05
    gone = torch.stack([torch.zeros(8, 8), torch.ones(8, 8)])
    assert _reconstructed(x, y, gone, together=False) == pytest.approx(0)
    border = torch.ones(2, 8, 8)
    border[0, 0] = 0
    border[0, 3, 3] = 0  # cells at the border are not counted
    assert _reconstructed(x, y, border, together=True) > 0.98


def test_masks_are_of_cells_and_of_channels():
    x = torch.empty(3, 4, 6, 6)
    cells, channels = (mask(x, 0.5, generator=torch.Generator().manual_seed(2)) for mask in MASKS.values())
    assert cells.shape == channels.shape == x.shape
    assert not bool((cells == cells[..., :1, :1]).all()) and bool((channels == channels[..., :1, :1]).all())


def test_records_at_a_tiny_size():
    record = leakage(seeds=(0, 1), steps=2, masks=1)
    assert record.arms == ("cells", "channels") and len(record.metrics) == 4
    assert record.metrics["told by its own channel, layer 1"]["channels"] == [0.0, 0.0]
    noise = logit_noise(seeds=(0, 1), steps=2, draws=1)
    assert min(noise.metrics["noise / signal"]["cells"]) > 0
    arms = accuracies(seeds=(0, 1), rates=(0.5,), steps=2)
    assert arms.arms == ("none", "cells, p = 0.5", "channels, p = 0.5") and set(arms.metrics) == {"accuracy", "NLL"}
    averaged = accuracies(seeds=(0, 1), rates=(0.5,), steps=2, pool="average")
    assert arms.name == "spatial-accuracy" and averaged.name == "spatial-average-pool"
    assert averaged.metrics["NLL"]["none"] != arms.metrics["NLL"]["none"]


def test_stored_records_say_what_the_chapter_rests_on():
    record = load("spatial-leakage")
    for layer in (1, 2):
        assert record.mean(f"told by its own channel, layer {layer}", "cells").low > 0.5
        assert set(record.metrics[f"told by its own channel, layer {layer}"]["channels"]) == {0.0}
        assert record.mean(f"told by all channels, layer {layer}", "channels").low > 0.5
    assert load("spatial-noise").effect("noise / signal", "channels", "cells").low > 0
    # Dropped cells cost loss behind a max pooling only.
    arms = "channels, p = 0.5", "cells, p = 0.5"
    largest, average = (load(name).effect("NLL", *arms) for name in ("spatial-accuracy", "spatial-average-pool"))
    assert largest.high < 0 < average.low


def test_pictures_say_what_they_show():
    picture = pictures.told_against_length([0, 1], {"cells": [0.0, 0.7], "channels": [0.0, 0.0]})
    assert "cells: from 0.00 to 0.70; channels: from 0.00 to 0.00" in picture.alt
    record = load("spatial-leakage")
    alt = pictures.told_by_whom(record).alt
    for layer in (1, 2):
        shown = record.mean(f"told by all channels, layer {layer}", "channels").mean
        assert f"layer {layer}, channels, by all channels: {shown:.2f}" in alt


def test_the_share_that_the_figure_tells_is_that_of_its_masks():
    """At p = 0 and p = 1 nothing is told of anything; between, less is told at a higher rate."""
    told_at = torch.tensor(load("spatial-leakage").notes["told"])
    assert told_at.shape == (DRAWS, STEPS + 1) and bool((told_at[:, [0, -1]] == 0).all())
    mean = told_at.mean(0)
    assert mean[2] > mean[10] > mean[18] > 0 and bool((told_at < 1).all())
    assert torch.tensor(load("spatial-leakage").notes["maps"]).shape == (SHOWN, 8, 8)
