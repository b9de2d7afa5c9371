"""Chapter 07's experiment: blocks and rows that are really computed, and the rest at a tiny size."""

import pytest
import torch

from companion.experiments.protocol import load
from companion.experiments.stochastic_depth import (
    Counted,
    accuracies,
    computed_blocks,
    computed_rows,
    time_ratios,
    very_deep,
)
from companion.schedules import constant_depth, depth_distribution, expected_depth, inclusive_depth, linear_depth
from companion.widgets.stochastic_depth import depth_figure, uniform_letters


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
    record = very_deep(seeds=(0, 1), blocks=3, width=8, steps=300)
    assert record.budget["layers"] == 8
    assert record.effect("NLL", "after training", "before training").mean < -0.5


def test_the_very_deep_network_has_1202_layers():
    assert load("depth-1202").budget["layers"] == 1202


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


# ---- what the interactive figure ships


def numbers(letters):
    return [64 * (ord(high) - 63) + ord(low) - 63 for high, low in zip(letters[::2], letters[1::2], strict=True)]


def test_the_letters_are_uniform_numbers():
    drawn = [number for letters in uniform_letters(400, 50, seed=1) for number in numbers(letters)]
    assert min(drawn) >= 0 and max(drawn) < 4096 and len(drawn) == 20_000
    counts = torch.histc(torch.tensor(drawn, dtype=torch.float64), 16, 0, 4096)
    assert float(((counts - 1250) ** 2 / 1250).sum()) < 37.7  # 0.1 % quantile of chi-squared, 15 degrees of freedom
    assert uniform_letters(2, 3, seed=5) == uniform_letters(2, 3, seed=5) != uniform_letters(2, 3, seed=6)


def test_the_figure_ships_the_companions_schedules():
    state = depth_figure().state
    for depth in (12, 24, 50):
        rules = {name: state["rules"][name][str(depth)] for name in state["rules"]}
        assert rules["inclusive"]["shape"] == [round(p, 5) for p in inclusive_depth(depth, 1.0)]
        for j in range(state["steps"] + 1):
            first, *chances = rules["linear"]["chances"][j]
            exact = depth_distribution(linear_depth(depth, j / state["steps"]))[first : first + len(chances)]
            assert chances == pytest.approx([1000 * chance for chance in exact], abs=0.5)
            assert rules["constant"]["mean"][j] == rules["linear"]["mean"][j]
    assert [state["rules"][name]["50"]["mean"][5] for name in state["rules"]] == [37.25, 37.5, 37.75, 37.25]


@pytest.mark.parametrize("depth", [12, 24, 50])
def test_the_shipped_steps_are_no_outliers(depth):
    state = depth_figure().state
    rule = state["rules"]["linear"][str(depth)]
    for j in (2, 5, 8):
        limits = [round(share * j / state["steps"] * state["levels"]) for share in rule["shape"]]
        depths = [
            sum(n >= limit for n, limit in zip(numbers(row)[:depth], limits, strict=True)) for row in state["coins"]
        ]
        assert abs(sum(depths) / len(depths) - rule["mean"][j]) < 4 * rule["sd"][j] / len(depths) ** 0.5
