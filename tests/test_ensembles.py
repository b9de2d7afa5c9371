"""Chapter 04: counting, the two means, the theorem of the geometric mean, and where it ends."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from companion.ensembles import (
    arithmetic_mean,
    count_distinct,
    count_subnetworks,
    effective_masks,
    enumerate_masks,
    expected_visited,
    geometric_mean,
    sample_masks,
)
from companion.layers.dropout import dropout


def binary(difference: torch.Tensor) -> torch.Tensor:
    """Logits of two classes from their difference: (masks,) -> (masks, 2), class 1 last."""
    return torch.stack([torch.zeros_like(difference), difference], -1)


# ---- counting ---------------------------------------------------------------------------------------------------


def test_worked_counts():
    assert count_subnetworks([10]) == 1024
    assert count_subnetworks([10, 10]) == 2**20 == 1_048_576
    assert count_distinct([10, 10]) == (2**10 - 1) * 2**10 + 1 == 1_047_553
    assert round(expected_visited(2**20, 10_000)) == 9_952
    assert round(expected_visited(2**20, 128 * 10_000)) == 739_223  # 739,222.5
    assert expected_visited(2**20, 128 * 100_000) / 2**20 == pytest.approx(0.999995, abs=1e-7)
    assert count_subnetworks([265]) < 10**80 < count_subnetworks([266])
    assert round(effective_masks(20, 0.1)) == 666
    assert round(effective_masks(20, 0.2)) == 22_204
    assert effective_masks(20, 0.5) == 2**20


@pytest.mark.parametrize("widths", [[1], [3], [2, 2], [1, 3], [2, 1, 2]])
def test_distinct_subnetworks_are_counted_right(widths):
    # Weights in general position and positive: two masks give one function only if the formula says so.
    generator = torch.Generator().manual_seed(0)
    sizes = [2, *widths, 2]
    weights = [torch.rand(a, b, generator=generator).double() + 0.1 for a, b in itertools.pairwise(sizes)]
    biases = [torch.rand(b, generator=generator).double() for b in sizes[1:]]
    x = torch.rand(5, 2, generator=generator).double()
    masks, _ = enumerate_masks(sum(widths))
    functions = set()
    for mask in masks:
        h, start = x, 0
        for layer, n in enumerate(widths):
            h = torch.relu(h @ weights[layer] + biases[layer]) * mask[start : start + n]
            start += n
        functions.add(tuple((h @ weights[-1] + biases[-1]).flatten().mul(1e9).round().long().tolist()))
    assert len(functions) == count_distinct(widths)


@given(st.integers(1, 64), st.integers(0, 200))
def test_expected_visited_is_between_its_bounds(masks, draws):
    value = expected_visited(masks, draws)
    assert 0 <= value <= min(masks, draws) + 1e-9
    assert expected_visited(masks, draws + 1) >= value


def test_expected_visited_against_counting():
    # 2,000 runs of 30 draws from 16 masks; the mean's standard error is about 0.02, so 0.1 fails once in a million.
    draws = torch.randint(16, (2000, 30), generator=torch.Generator().manual_seed(1))
    mean = torch.tensor([len(set(row)) for row in draws.tolist()]).double().mean()
    assert float(mean) == pytest.approx(expected_visited(16, 30), abs=0.1)


def test_a_batch_holds_a_mask_for_every_example():
    generator = torch.Generator().manual_seed(0)
    masks = dropout(torch.ones(256, 20), 0.5, True, generator=generator) != 0
    # Expected number of coinciding pairs: 256 * 255 / 2 / 2^20 = 0.03; three or more: about once in 200,000.
    assert len(masks.unique(dim=0)) >= 253


@pytest.mark.parametrize("widths", [[], [0], [2.0], [True], [3, -1]])
def test_widths_are_checked(widths):
    for count in (count_subnetworks, count_distinct):
        with pytest.raises(ValueError, match="widths must be"):
            count(widths)


# ---- masks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_all_masks_with_their_probabilities(p):
    masks, weights = enumerate_masks(5, p)
    assert masks.shape == (32, 5)
    assert len(masks.unique(dim=0)) == 32
    assert float(weights.sum()) == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(weights @ masks.double(), torch.full((5,), 1 - p, dtype=torch.float64))
    assert masks[0].sum() == 0 and masks[-1].sum() == 5


def test_sampled_masks_follow_the_enumerated_weights():
    # Chi-square over 8 masks, 7 degrees of freedom: above 42 once in two million.
    _, weights = enumerate_masks(3, 0.3)
    draws = sample_masks(20_000, 3, 0.3, generator=torch.Generator().manual_seed(2)).long() @ torch.tensor([4, 2, 1])
    counts = torch.bincount(draws, minlength=8).double()
    assert float(((counts - 20_000 * weights) ** 2 / (20_000 * weights)).sum()) < 42


@pytest.mark.parametrize(("n", "error"), [(-1, ValueError), (25, ValueError), (2.0, TypeError), (True, TypeError)])
def test_number_of_units_is_checked(n, error):
    with pytest.raises(error, match="n must be"):
        enumerate_masks(n)


# ---- means ------------------------------------------------------------------------------------------------------


def test_worked_example_where_one_pass_is_exact():
    masks, weights = enumerate_masks(2)
    difference = masks.double() @ torch.tensor([2.0, 1.0]).double()
    assert difference.sigmoid().sort().values.tolist() == pytest.approx([0.5, 0.7311, 0.8808, 0.9526], abs=5e-5)
    one = torch.tensor(0.5 * 2 + 0.5 * 1).sigmoid()
    assert float(arithmetic_mean(binary(difference), weights)[1]) == pytest.approx(0.7661, abs=5e-5)
    assert float(geometric_mean(binary(difference), weights)[1]) == pytest.approx(0.8176, abs=5e-5)
    assert float(one) == pytest.approx(0.8176, abs=5e-5)


def test_worked_example_where_one_pass_is_not_exact():
    masks, weights = enumerate_masks(2)
    unit = torch.relu(masks.double() @ torch.tensor([2.0, -3.0]).double())
    one = torch.relu(torch.tensor(0.5 * 2 - 0.5 * 3)).sigmoid()
    assert float(arithmetic_mean(binary(unit), weights)[1]) == pytest.approx(0.5952, abs=5e-5)
    assert float(geometric_mean(binary(unit), weights)[1]) == pytest.approx(0.6225, abs=5e-5)
    assert float(one) == 0.5


@given(st.floats(0.05, 0.95), st.integers(0, 10**6))
def test_geometric_mean_is_the_normalised_product(p, seed):
    logits = torch.randn(8, 3, 4, generator=torch.Generator().manual_seed(seed)).double()
    _, weights = enumerate_masks(3, p)
    product = (logits.softmax(-1) ** weights[:, None, None]).prod(0)
    torch.testing.assert_close(geometric_mean(logits, weights), product / product.sum(-1, keepdim=True))
    torch.testing.assert_close(geometric_mean(logits, weights).sum(-1), torch.ones(3).double())
    torch.testing.assert_close(arithmetic_mean(logits, weights).sum(-1), torch.ones(3).double())


@given(st.floats(0.05, 0.95), st.integers(0, 10**6))
def test_theorem_head_dropout_is_exact_after_any_nonlinearity(p, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(4, 3, generator=generator).double()
    h = torch.tanh(x @ torch.randn(3, 6, generator=generator).double()).square()
    head, bias = torch.randn(6, 5, generator=generator).double(), torch.randn(5, generator=generator).double()
    masks, weights = enumerate_masks(6, p)
    logits = (h * masks[:, None] / (1 - p)) @ head + bias
    one = (dropout(h, p, False) @ head + bias).softmax(-1)
    assert float((geometric_mean(logits, weights) - one).abs().max()) < 1e-6


def test_the_mean_of_the_logits_of_a_masked_relu_is_never_below_the_relu_of_the_mean():
    # Jensen, the reason why the theorem ends at an activation behind a mask.
    masks, weights = enumerate_masks(6, 0.3)
    u = (masks.double() / 0.7) @ torch.randn(6, 50, generator=torch.Generator().manual_seed(3)).double()
    gap = weights @ torch.relu(u) - torch.relu(weights @ u)
    assert float(gap.min()) > -1e-12
    assert float(gap.max()) > 0.1


def test_means_are_stable_for_large_logits():
    logits = torch.tensor([[1e3, 0.0, -1e3], [-1e3, 0.0, 1e3]])
    assert torch.isfinite(geometric_mean(logits)).all()
    torch.testing.assert_close(geometric_mean(logits), torch.full((3,), 1 / 3))
    torch.testing.assert_close(arithmetic_mean(logits), torch.tensor([0.5, 0.0, 0.5]))


def test_weights_matter():
    logits = binary(torch.tensor([0.0, 4.0]))
    weights = torch.tensor([0.9, 0.1])
    assert float(geometric_mean(logits, weights)[1]) == pytest.approx(1 / (1 + math.exp(-0.4)), abs=1e-6)
    assert float(geometric_mean(logits)[1]) == pytest.approx(1 / (1 + math.exp(-2.0)), abs=1e-6)


@pytest.mark.parametrize("mean", [arithmetic_mean, geometric_mean])
def test_bad_arguments_are_named(mean):
    with pytest.raises(ValueError, match=r"logits must have the shape \(masks, \.\.\., classes\)"):
        mean(torch.zeros(3))
    with pytest.raises(ValueError, match=r"weights must have the shape \(4,\)"):
        mean(torch.zeros(4, 2), torch.ones(3))
    with pytest.raises(ValueError, match="weights must be probabilities"):
        mean(torch.zeros(2, 2), torch.tensor([1.0, -1.0]))
