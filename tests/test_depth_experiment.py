"""Chapter 07's experiment: blocks and rows that are really computed, and the rest at a tiny size."""

import pytest
import torch

from companion.experiments.protocol import load
from companion.experiments.stochastic_depth import Counted, accuracies, computed_blocks, computed_rows, time_ratios
from companion.schedules import constant_depth, depth_distribution, expected_depth, linear_depth


def test_counted_counts():
    branch = Counted(lambda x: 2 * x)
    assert branch(torch.ones(3, 2)).sum() == 12 and branch(torch.ones(4, 2)) is not None
    assert (branch.calls, branch.rows) == (2, 7)


def test_surviving_blocks_have_the_distribution_of_independent_coins():
    rates = linear_depth(12, 0.5)
    depths = computed_blocks(rates, 1500)
    chances = depth_distribution(rates)
    for depth, chance in enumerate(chances):
        error = (chance * (1 - chance) / 1500) ** 0.5
        assert abs(float((depths == depth).double().mean()) - chance) <= 4.5 * error + 1e-3
    assert computed_blocks([0.0, 1.0, 0.0], 5).tolist() == [2] * 5
    before = torch.get_rng_state()
    assert torch.equal(computed_blocks(rates, 10, seed=4), computed_blocks(rates, 10, seed=4))
    assert torch.equal(torch.get_rng_state(), before)


def test_with_a_coin_a_sample_rows_are_saved_and_calls_are_not():
    rates = constant_depth(20, 0.4)
    rows, called = computed_rows(rates, 200)
    assert called == 20
    expected = 200 * expected_depth(rates)
    assert abs(rows - expected) < 4.5 * (200 * 20 * 0.4 * 0.6) ** 0.5
    assert computed_rows([0.0, 1.0], 8) == (8, 1)


def test_records_at_a_tiny_size():
    record = accuracies(seeds=(0, 1), depth=3, width=8, steps=2)
    assert record.arms == ("full depth", "linear", "constant") and set(record.metrics) == {"accuracy", "NLL"}
    record = time_ratios(depth=2, width=8, batch=4, rounds=2, steps=1)
    assert record.metrics["time / full"]["no stochastic depth"] == [1.0, 1.0]
    assert all(value > 0 for values in record.metrics["time / full"].values() for value in values)


def test_schedules_are_compared_at_equal_expected_depth():
    linear = linear_depth(24, 0.5)
    constant = constant_depth(24, 1 - expected_depth(linear) / 24)
    assert expected_depth(constant) == pytest.approx(expected_depth(linear))
    record = load("depth-schedules")
    assert record.budget["blocks"] == 24


def test_the_stored_times_save_what_the_coins_promise():
    """A coarse bound: a dropped block that were computed all the same would show."""
    record = load("depth-time")
    assert (
        record.mean("time / full", "a coin a batch").mean
        < 0.9
        < record.mean("time / full", "a coin a sample, masked").mean
    )
