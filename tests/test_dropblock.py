"""DropBlock: realised rates, whole blocks, calibration, the scale, and the mistakes that other libraries make here.

Statistical tests use fixed generators and 4.5 standard errors: a right layer fails one comparison with 7e-6, and the
some 600 comparisons of this file with 0.4 %. Where cells of one map are dropped together, the standard error is
taken over maps, which are independent.
"""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

import companion.masks
from companion import DropBlock1d, DropBlock2d, DropBlock3d, drop_block
from companion.layers.dropblock import _scale, _seed_rate, rate_map, seed_rate
from companion.masks import bernoulli, block_mask
from companion.schedules import Ramp

LIMIT = 4.5
CALIBRATIONS = ["exact", "uniform", "paper"]
MAPS = [(1, 1), (4, 4), (7, 7), (5, 9), (14, 14), (28, 28), (17,), (5, 6, 4)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, dtype=torch.float32, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed)).to(dtype)


def dropped(shape, p, block_size, calibrate="exact", maps=4000, seed=0, share_channels=False):
    """Which cells the layer zeroes: Tensor[maps, *shape] of float64."""
    channels = 1 if share_channels else 8
    x = torch.ones(maps // channels, channels, *shape)
    y = drop_block(x, p, block_size, True, calibrate, share_channels, generator=generator(seed))
    return (y == 0).double().flatten(0, 1)


def z_of_mean(samples, expected):
    """Standard errors between the mean of independent samples and what is expected of it."""
    spread = float(samples.std())
    return abs(float(samples.mean()) - expected) / (spread / math.sqrt(len(samples))) if spread else 0.0


def survival_by_enumeration(lengths, block_size, rate, padded):
    """Expected rate of each cell, over all patterns of seeds on a tiny map, block by block: no formula of the layer."""
    starts, sizes = [], []
    for length in lengths:
        size = block_size if padded else min(block_size, length)
        sizes.append(size)
        starts.append(range(1 - size, length) if padded else range(length - size + 1))
    seeds = list(itertools.product(*starts))
    cells = list(itertools.product(*map(range, lengths)))
    lost = torch.zeros(lengths, dtype=torch.float64)
    for pattern in itertools.product((False, True), repeat=len(seeds)):
        fired = [seed for seed, fires in zip(seeds, pattern, strict=True) if fires]
        weight = rate ** len(fired) * (1 - rate) ** (len(seeds) - len(fired))
        for cell in cells:
            if any(all(at <= i < at + size for i, at, size in zip(cell, seed, sizes, strict=True)) for seed in fired):
                lost[cell] += weight
    return lost


# --- the rate of seeds ------------------------------------------------------------------------------------------------

TINY = [((1,), 3), ((5,), 2), ((6,), 4), ((3, 3), 2), ((2, 4), 2), ((2, 3), 3), ((2, 2, 2), 1), ((3, 2, 2), 2)]


@pytest.mark.parametrize(("lengths", "block_size"), TINY)
@pytest.mark.parametrize("p", [0.1, 0.6])
@pytest.mark.parametrize("calibrate", CALIBRATIONS)
def test_the_map_of_rates_is_that_of_all_patterns_of_seeds(lengths, block_size, p, calibrate):
    padded = calibrate == "uniform"
    if padded and math.prod(length + block_size - 1 for length in lengths) > 12:
        pytest.skip("more than 2^12 patterns")
    by_hand = survival_by_enumeration(lengths, block_size, seed_rate(lengths, p, block_size, calibrate), padded)
    torch.testing.assert_close(rate_map(lengths, p, block_size, calibrate), by_hand, rtol=1e-12, atol=1e-14)
    if calibrate != "paper":
        assert float(by_hand.mean()) == pytest.approx(p, rel=1e-12)
    if padded:
        torch.testing.assert_close(by_hand, torch.full(lengths, p, dtype=torch.float64), rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", [*MAPS, (56, 56), (1000,), (9, 9, 9)])
@pytest.mark.parametrize("block_size", [1, 2, 3, 4, 7, 9, 50])
def test_the_mean_of_the_map_is_p(shape, block_size):
    for p in (1e-12, 1e-6, 0.01, 0.1, 0.5, 0.9, 0.99):
        for calibrate in ("exact", "uniform"):
            rates = rate_map(shape, p, block_size, calibrate)
            assert rates.shape == shape and rates.dtype == torch.float64
            assert float(rates.mean()) == pytest.approx(p, rel=1e-12)
            assert float((1 - rates).mean()) == pytest.approx(1 - p, rel=1e-12)
    almost = seed_rate(shape, 1 - 2**-40, block_size)
    assert 0 < almost <= 1 and float((1 - rate_map(shape, 1 - 2**-40, block_size)).mean()) < 2**-39


def test_worked_example():
    """14 x 14 cells, k = 7, p = 0.1: the numbers of chapter 08."""
    assert seed_rate((14, 14), 0.1, 7, "paper") == pytest.approx(0.00625, rel=1e-12)
    assert seed_rate((28, 28), 0.1, 7, "paper") == pytest.approx(0.003306, abs=1e-6)
    assert seed_rate((14, 14), 0.1, 7) == pytest.approx(0.006764, abs=1e-6)
    rates = rate_map((14, 14), 0.1, 7, "paper")
    assert float(rates.mean()) == pytest.approx(0.0929, abs=5e-5)
    assert float(rates[0, 0]) == pytest.approx(0.00625, abs=1e-12)
    assert float(rates[0, 7]) == pytest.approx(0.043, abs=5e-4)
    assert float(rates[7, 7]) == pytest.approx(1 - (1 - 0.00625) ** 49, rel=1e-12)
    assert (1 - seed_rate((14, 14), 0.1, 7, "paper")) ** 64 == pytest.approx(0.67, abs=5e-3)  # maps without a block


def test_rates_rise_with_p():
    for shape, block_size in [((14, 14), 7), ((5, 9), 3), ((6, 6, 6), 4)]:
        rates = [seed_rate(shape, p / 200, block_size) for p in range(201)]
        assert all(a < b for a, b in itertools.pairwise(rates)) and rates[0] == 0 and rates[-1] == 1


def test_block_of_one_cell_is_ordinary_dropout():
    for calibrate in CALIBRATIONS:
        assert seed_rate((5, 9), 0.3, 1, calibrate) == pytest.approx(0.3, rel=1e-14)
        assert bool((rate_map((5, 9), 0.3, 1, calibrate) - 0.3).abs().max() < 1e-14)


def test_block_as_large_as_the_map_drops_whole_maps():
    """Then DropBlock is spatial dropout: one coin a channel."""
    lost = dropped((7, 7), 0.1, 7)
    assert bool(((lost.mean((1, 2)) == 0) | (lost.mean((1, 2)) == 1)).all())


def test_paper_never_asks_for_more_than_a_probability():
    assert seed_rate((3, 3), 0.9, 3, "paper") == pytest.approx(0.9)
    for shape, p, block_size in [((8,), 0.9, 2), ((14, 14), 0.99, 1), ((200, 2), 1 - 1e-16, 1)]:
        assert 0 <= seed_rate(shape, p, block_size, "paper") <= 1
    assert float(rate_map((14, 14), 0.1, 7, "paper").mean()) < 0.1


def test_rate_map_takes_a_tensor_without_dimensions():
    torch.testing.assert_close(rate_map((5,), torch.tensor(0.25), 2), rate_map([5], 0.25, 2), rtol=0, atol=0)


# --- realised rates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", MAPS)
@pytest.mark.parametrize("block_size", [1, 2, 3, 4, 7, 9])
@pytest.mark.parametrize("share_channels", [False, True])
def test_the_mean_rate_is_p(shape, block_size, share_channels):
    for p in (0.05, 0.1, 0.3, 0.5, 0.9):
        seed = int(1000 * p) + block_size
        lost = dropped(shape, p, block_size, maps=1600, seed=seed, share_channels=share_channels).flatten(1).mean(1)
        assert z_of_mean(lost, p) < LIMIT, p


@pytest.mark.parametrize(("shape", "block_size"), [((8, 8), 3), ((5, 9), 4), ((7,), 7)])
def test_small_rates_keep_their_digits(shape, block_size):
    """The share of cells that survive is then a sum near 1, which has lost them."""
    for p in (1e-12, 1e-9, 1e-4):
        assert float(rate_map(shape, p, block_size).mean()) == pytest.approx(p, rel=1e-13, abs=0)


@pytest.mark.parametrize("shape", MAPS)
@pytest.mark.parametrize("block_size", [1, 2, 4, 7, 9])
@pytest.mark.parametrize("p", [0.05, 0.3, 0.9])
def test_uniform_drops_corner_edge_and_centre_alike(shape, block_size, p):
    lost = dropped(shape, p, block_size, "uniform", maps=3200, seed=block_size)
    error = math.sqrt(p * (1 - p) / len(lost))
    corner = lost[(slice(None), *(0 for _ in shape))]
    far = lost[(slice(None), *(-1 for _ in shape))]
    edge = lost[(slice(None), 0, *(length // 2 for length in shape[1:]))]
    centre = lost[(slice(None), *(length // 2 for length in shape))]
    for name, cell in {"corner": corner, "far corner": far, "edge": edge, "centre": centre}.items():
        assert abs(float(cell.mean()) - p) < LIMIT * error, name
    # and no cell differs: the largest of up to 784 deviations stays below six errors (family-wise 2e-6 a map)
    assert float((lost.mean(0) - p).abs().max()) < 6 * error


@pytest.mark.parametrize("calibrate", CALIBRATIONS)
@pytest.mark.parametrize(("shape", "block_size"), [((14, 14), 7), ((5, 9), 4), ((3, 9), 5), ((12,), 5), ((4, 5, 6), 3)])
def test_each_cell_is_dropped_at_its_rate(shape, block_size, calibrate):
    """Simulation against the closed form, cell by cell: above all the corner, which is nearly never dropped."""
    p = 0.3
    lost = dropped(shape, p, block_size, calibrate, maps=8000, seed=3).mean(0)
    rates = rate_map(shape, p, block_size, calibrate)
    error = (rates * (1 - rates) / 8000).sqrt()
    assert float(((lost - rates).abs() / error).max()) < 6
    assert z_of_mean(dropped(shape, p, block_size, calibrate, seed=4).flatten(1).mean(1), float(rates.mean())) < LIMIT


@pytest.mark.parametrize("p", [1e-5, 0.004, 0.05])
def test_rare_blocks_on_many_maps(p):
    """Many coins, the two stages of which are thrown apart; below a rate of 1/256 the second is alone."""
    lost = dropped((28, 28), p, 5, maps=16_000, seed=6).flatten(1).mean(1)
    assert z_of_mean(lost, p) < LIMIT and (p < 1e-3 or float(lost.sum()) > 0)


def test_samples_channels_and_calls_are_independent():
    x = torch.ones(500, 40, 6, 6)
    draw = generator(2)
    first, second = ((drop_block(x, 0.3, 3, generator=draw) == 0).double()[..., 2, 3] for _ in range(2))
    first, second = first - first.mean(), second - second.mean()
    scale = first.numel() * float(first.std() * second.std())
    assert abs(float((first * second).sum())) / scale < LIMIT / math.sqrt(first.numel())  # calls
    for shift in (1, 2, 7):
        for axis in (0, 1):  # samples, channels
            product = float((first * first.roll(shift, axis)).sum())
            assert abs(product) / scale < LIMIT / math.sqrt(first.numel()), (shift, axis)


def test_channels_share_a_mask_only_when_asked_to():
    x = torch.ones(50, 4, 9, 9)
    alone = drop_block(x, 0.3, 3, generator=generator()) == 0
    shared = drop_block(x, 0.3, 3, share_channels=True, generator=generator()) == 0
    assert bool((shared == shared[:, :1]).all()) and not bool((alone == alone[:, :1]).all())
    assert not torch.equal(shared[0], shared[1])


# --- blocks -----------------------------------------------------------------------------------------------------------


def is_made_of_whole_blocks(lost, block_size):
    """Erosion and dilation with the block (morphological opening) must leave a union of whole blocks as it is."""
    sizes = [min(block_size, length) for length in lost.shape[1:]]
    inside = lost.clone()
    for axis, size in enumerate(sizes, start=1):
        inside = inside.unfold(axis, size, 1).amin(-1)
    grown = torch.zeros_like(lost)
    for offset in itertools.product(*map(range, sizes)):
        window = grown
        for axis, (at, length) in enumerate(zip(offset, inside.shape[1:], strict=True), start=1):
            window = window.narrow(axis, at, length)
        torch.maximum(window, inside, out=window)
    return torch.equal(grown, lost)


@pytest.mark.parametrize("calibrate", ["exact", "paper"])
@pytest.mark.parametrize("shape", MAPS)
@pytest.mark.parametrize("block_size", [2, 3, 4, 7])
def test_blocks_are_complete(shape, block_size, calibrate):
    lost = dropped(shape, 0.3, block_size, calibrate, maps=400)
    assert float(lost.sum()) > 0 and is_made_of_whole_blocks(lost, block_size)


def test_uniform_cuts_blocks_at_the_border_only():
    """Inside a frame of k - 1 cells around the map, the blocks are whole again: the map is a window on them."""
    lost = dropped((9, 9), 0.2, 3, "uniform", maps=800)
    assert not is_made_of_whole_blocks(lost, 3)
    runs = lost.bool()
    alone = runs[:, 1:-1] & ~runs[:, :-2] & ~runs[:, 2:]  # a dropped cell of the interior has a neighbour in its column
    assert not bool(alone.any())
    assert bool((runs[:, 0] & ~runs[:, 1]).any())  # a block of which only the last row is on the map


def by_hand(seeds, lengths, block_size, padded):
    """The mask from seeds that fired, block by block; the first place of a padded axis is k - 1 before the map."""
    mask = torch.ones(*seeds.shape[:2], *lengths, dtype=torch.uint8)
    for sample, channel, *start in seeds.nonzero().tolist():
        sizes = [block_size if padded else min(block_size, length) for length in lengths]
        if padded:
            start = [at - size + 1 for at, size in zip(start, sizes, strict=True)]
        spans = [slice(max(at, 0), at + size) for at, size in zip(start, sizes, strict=True)]
        mask[(sample, channel, *spans)] = 0
    return mask


@pytest.mark.parametrize("few", [0, 1 << 30])
@pytest.mark.parametrize(
    ("lengths", "block_size"), [((9,), 4), ((7, 7), 7), ((6, 9), 2), ((5, 8), 3), ((4, 5, 6), 3), ((8, 8), 1)]
)
@pytest.mark.parametrize("padded", [False, True])
def test_both_ways_of_spreading_give_the_blocks_of_the_seeds(monkeypatch, few, lengths, block_size, padded):
    monkeypatch.setattr(companion.masks, "FEW_PAIRS", few)
    places = [length + block_size - 1 if padded else length - block_size + 1 for length in lengths]
    kept = bernoulli((12, 3, *places), 0.1, generator=generator(9))
    mask = block_mask(torch.empty(12, 3, *lengths), 0.1, block_size, padded=padded, generator=generator(9))
    assert torch.equal(mask, by_hand(1 - kept, lengths, block_size, padded)) and mask.is_contiguous()
    assert 0 < int(mask.sum()) < mask.numel()


@pytest.mark.parametrize("lengths", [(3,), (3, 8), (2, 3, 4)])
def test_seeds_of_blocks_larger_than_the_map_may_be_merged(lengths):
    """Padded, k = 5: the mask has the law of all seeds thrown one by one: rates of cells, of pairs and of the map."""
    n, rate = 6000, 0.03 / 5 ** (len(lengths) - 1)
    x = torch.empty(n, 1, *lengths)
    places = [length + 4 for length in lengths]
    apart = by_hand(1 - bernoulli((n, 1, *places), rate, generator=generator(1)), lengths, 5, True)
    merged = block_mask(x, rate, 5, padded=True, generator=generator(2))
    cells = [mask.flatten(2)[:, 0] == 0 for mask in (apart, merged)]
    ends = [(0, 0), (0, -1), (-1, -1)]
    for i, j in ends:
        a, b = ((lost[:, i] & lost[:, j]).double() for lost in cells)
        error = math.sqrt(float(a.var() + b.var()) / len(a))
        assert abs(float(a.mean() - b.mean())) < LIMIT * error, (i, j)
    share = [lost.double().mean(1) for lost in cells]
    error = math.sqrt(float(share[0].var() + share[1].var()) / len(share[0]))
    assert abs(float(share[0].mean() - share[1].mean())) < LIMIT * error
    assert all(float(a.square().mean()) > 0 for a in share)


def test_a_huge_block_costs_no_more_than_the_map():
    y = drop_block(torch.ones(200, 4, 7, 7), 0.3, 10**6, True, "uniform", generator=generator())
    lost = (y == 0).double().flatten(0, 1)
    assert z_of_mean(lost[:, 3, 3], 0.3) < LIMIT and bool((y == 0).any())
    assert bool((lost.flatten(1).amax(1) == lost.flatten(1).amin(1)).all())  # hardly ever does a border fall on the map


@settings(max_examples=80, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=3),
    outer=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    block_size=st.integers(1, 12),
    p=st.sampled_from([0.0, 1e-9, 0.05, 0.3, 0.7, 1 - 1e-9, 1.0]),
    calibrate=st.sampled_from(CALIBRATIONS),
    share_channels=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_any_shape(lengths, outer, block_size, p, calibrate, share_channels, seed):
    x = torch.rand(*outer, *lengths, generator=generator(seed)) + 1
    arguments = (p, block_size, True, calibrate, share_channels)
    y = drop_block(x, *arguments, generator=generator(seed))
    assert y.shape == x.shape and y.dtype == x.dtype
    lost = y == 0
    if p in (0.0, 1.0):
        assert bool((lost == bool(p)).all())
    if x.numel() and not bool(lost.all()):
        torch.testing.assert_close(y[~lost], x[~lost] * (lost.numel() / int((~lost).sum())), rtol=1e-6, atol=0)
    if calibrate != "uniform" and 0 not in x.shape:
        assert is_made_of_whole_blocks(lost.flatten(0, 1).double(), block_size)
    if share_channels and x.shape[1]:
        assert bool((lost == lost[:, :1]).all())
    again = drop_block(x, *arguments, generator=generator(seed))
    assert torch.equal(again, y)


# --- scale ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share_channels", [False, True])
@pytest.mark.parametrize("shape", [(3, 4, 9), (5, 3, 9, 8), (40, 9, 25, 23), (3, 2, 4, 5, 6)])
def test_scale_is_cells_over_kept_cells_of_the_whole_mask(shape, share_channels):
    x = random(*shape, dtype=torch.float64)
    y = drop_block(x, 0.3, 3, True, "exact", share_channels, generator=generator(5))
    mask = block_mask(
        x, seed_rate(shape[2:], 0.3, 3), 3, share_channels=share_channels, generator=generator(5)
    ).expand_as(x)
    torch.testing.assert_close(y, x * mask * (x.numel() / int(mask.sum())), rtol=1e-15, atol=0)
    ones = drop_block(torch.ones_like(x), 0.3, 3, True, "exact", share_channels, generator=generator(5))
    assert float(ones.mean()) == pytest.approx(1.0, rel=1e-12)  # whatever was drawn


def test_scale_counts_every_cell():
    """Sums of eight bytes at once, over lengths around the 2,040 cells that one sum takes."""
    for cells in (2039, 2040, 2041, 4079, 4080, 8191, 8192, 8193, 100_003):
        for p in (0.02, 0.5):
            y = drop_block(torch.ones(1, 1, cells, dtype=torch.float64), p, 2, generator=generator(cells))
            assert float(y.max()) == cells / int((y != 0).sum())
    none = drop_block(torch.ones(1, 1, 100_003, dtype=torch.float64), 1e-14, 2, generator=generator())
    assert bool((none == 1).all())


def test_scale_of_few_kept_cells():
    masks = torch.zeros(4, 1, 1, 6, dtype=torch.uint8)
    for kept, mask in enumerate(masks):
        mask[..., :kept] = 1
    expected = [0.0, 6.0, 3.0, 2.0]
    assert [float(_scale(mask)) for mask in masks] == expected
    assert torch.func.vmap(_scale)(masks).tolist() == expected


def test_rates_of_seeds_have_64_bits_in_a_compiled_graph_too():
    rate = seed_rate((8, 8), 0.1, 3)
    at = torch.ops.companion.seed_rate(torch.tensor(0.1, dtype=torch.float64), (8, 8), 3, "exact")
    assert at.dtype == torch.float64 and float(at) == rate
    compiled = torch.compile(lambda x: x * _seed_rate(0.1, (8, 8), 3, "exact"), backend="eager")
    assert float(compiled(torch.ones(1, dtype=torch.float64))) == rate


@pytest.mark.parametrize("p", [0.3, torch.tensor(0.3, dtype=torch.float64)])
def test_gradient_is_the_mask_with_its_scale(p):
    x = random(6, 5, 17, 17, dtype=torch.float64).requires_grad_()
    upstream = random(6, 5, 17, 17, dtype=torch.float64, seed=2)
    drop_block(x, p, 4, generator=generator()).backward(upstream)
    mask = block_mask(x, seed_rate((17, 17), 0.3, 4), 4, generator=generator())
    torch.testing.assert_close(x.grad, upstream * mask * (x.numel() / int(mask.sum())), rtol=1e-14, atol=0)


def test_gradcheck_with_a_fixed_mask():
    for calibrate in CALIBRATIONS:
        x = random(2, 2, 5, 4, dtype=torch.float64).requires_grad_()
        fixed = lambda x: drop_block(x, 0.3, 2, True, calibrate, generator=generator(1))  # noqa: E731, B023
        assert torch.autograd.gradcheck(fixed, (x,))
        assert torch.autograd.gradgradcheck(lambda x: fixed(x) ** 2, (x,))  # noqa: B023


# --- p, evaluation, schedules -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("calibrate", CALIBRATIONS)
def test_evaluation_and_rate_zero_give_the_input_object(calibrate):
    x = random(2, 3, 8, 8)
    assert drop_block(x, 0.5, 3, False, calibrate) is x
    assert drop_block(x, 0.0, 3, True, calibrate) is x
    assert drop_block(x, 0, 3, True, calibrate) is x
    torch.testing.assert_close(drop_block(x, torch.tensor(0.0), 3, True, calibrate), x, rtol=0, atol=0)


@pytest.mark.parametrize("calibrate", CALIBRATIONS)
@pytest.mark.parametrize("p", [1.0, 1, torch.tensor(1.0)])
def test_rate_one_drops_everything_with_a_zero_gradient(calibrate, p):
    for shape in [(2, 3, 14, 14), (20, 30, 14, 14)]:
        x = random(*shape).requires_grad_()
        y = drop_block(x, p, 7, True, calibrate)
        y.sum().backward()
        assert bool((y == 0).all()) and bool((x.grad == 0).all())
    assert bool((rate_map((14, 14), p, 7, calibrate) == 1).all())


def test_arguments_in_their_order():
    x = random(4, 3, 9, 9)
    named = drop_block(
        x, p=0.3, block_size=3, training=True, calibrate="uniform", share_channels=True, generator=generator()
    )
    assert torch.equal(drop_block(x, 0.3, 3, True, "uniform", True, generator=generator()), named)
    torch.manual_seed(4)
    default = drop_block(x)
    torch.manual_seed(4)
    assert torch.equal(default, drop_block(x, 0.1, 7, True, "exact", False))


@pytest.mark.parametrize("calibrate", CALIBRATIONS)
def test_compiled_masks_are_those_of_eager_code_for_any_rate(calibrate):
    """The solver runs inside an operator: one graph for all rates of a schedule."""
    counter = CompileCounterWithBackend("aot_eager")
    torch._dynamo.reset()
    compiled = torch.compile(lambda x, p: drop_block(x, p, 4, True, calibrate), fullgraph=True, backend=counter)
    x = random(3, 2, 9, 9)
    p = torch.zeros((), dtype=torch.float64)
    for step in range(20):
        p.fill_(step / 19)
        torch.manual_seed(7)
        y = compiled(x, p)
        torch.manual_seed(7)
        torch.testing.assert_close(y, drop_block(x, p, 4, True, calibrate), rtol=1e-6, atol=0)
    assert sum("block" in graph.code for graph in counter.graphs) == 1


@pytest.mark.parametrize("randomness", ["different", "same"])
def test_vmap_over_rates(randomness):
    p = torch.tensor([0.0, 0.2, 0.6, 1.0])
    x = torch.ones(4, 200, 5, 6, 6)
    torch.manual_seed(0)
    draw = torch.func.vmap(lambda x, p: drop_block(x, p, 3), randomness=randomness)
    lost = (draw(x, p) == 0).double().flatten(3).mean(-1).flatten(1)
    assert float(lost[0].sum()) == 0 and bool((lost[3] == 1).all())
    assert z_of_mean(lost[1], 0.2) < LIMIT and z_of_mean(lost[2], 0.6) < LIMIT


def test_nothing_made_inside_a_transform_is_kept():
    x = random(2, 3, 10, 11)
    companion.masks._cover.cache_clear()
    gradient = torch.func.grad(lambda x: drop_block(x, 0.3, 3, generator=generator()).sum())(x)
    assert companion.masks._cover.cache_info().currsize == 0
    assert torch.equal(gradient == 0, drop_block(x, 0.3, 3, generator=generator()) == 0)


MODULES = [(DropBlock1d, (4, 3, 12)), (DropBlock2d, (4, 3, 9, 8)), (DropBlock3d, (4, 3, 5, 6, 4))]


@pytest.mark.parametrize(("module", "shape"), MODULES)
def test_modules_are_shells_over_the_function(module, shape):
    layer = module(0.3, 2, "uniform", True)
    x = random(*shape)
    torch.manual_seed(3)
    y = layer(x)
    torch.manual_seed(3)
    assert torch.equal(y, drop_block(x, 0.3, 2, True, "uniform", True))
    assert layer.eval()(x) is x
    assert repr(layer) == f"{module.__name__}(p=0.3, block_size=2, calibrate='uniform', share_channels=True)"
    assert (module().p, module().block_size, module().calibrate, module().share_channels) == (0.1, 7, "exact", False)


def test_a_module_follows_its_schedule():
    layer = DropBlock2d(Ramp(0.0, 0.4, 4), 3)
    x = torch.ones(500, 8, 9, 9)
    shares = []
    for _ in range(5):
        torch.manual_seed(1)
        shares.append((layer(x) == 0).double().mean().item())
        layer.p.advance()
    assert shares[0] == 0 and shares == sorted(shares) and abs(shares[-1] - 0.4) < 0.02
    assert set(nn.Sequential(layer).state_dict()) == {"0.p.step", "0.p.p"}


# --- the mistakes of other libraries ----------------------------------------------------------------------------------


def test_a_map_of_7_by_7_loses_a_tenth_not_nearly_everything():
    """Seeds on all 49 places at the rate meant for the single place where a whole block fits drop 93 %."""
    lost = dropped((7, 7), 0.1, 7, maps=8000).flatten(1).mean(1)
    assert z_of_mean(lost, 0.1) < LIMIT
    seeds = 1 - bernoulli((8000, 1, 7, 7), seed_rate((7, 7), 0.1, 7, "paper"), generator=generator())
    mistaken = F.max_pool2d(seeds.float(), 7, 1, 3)
    assert float(mistaken.mean()) > 0.9


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_count_beyond_their_largest_number(dtype):
    """102,400 cells: a count in float16 is infinite and its inverse 0; one in bfloat16 has 8 bits."""
    x = torch.ones(4, 100, 16, 16, dtype=dtype)
    y = drop_block(x, 0.1, 7, generator=generator())
    kept = y != 0
    assert y.dtype == dtype and bool(kept.any())
    expected = torch.tensor(x.numel() / int(kept.sum()), dtype=torch.float64).to(dtype)
    assert y[kept].unique().tolist() == [expected.item()]
    mask = kept.to(torch.float16)
    assert float(mask.numel() / (1e-6 + mask.sum())) == 0  # the mistaken scale


def test_a_map_of_even_side_smaller_than_the_block():
    """A block cut to an even side is no error."""
    for shape in [(6, 6), (4, 9), (2, 2)]:
        for calibrate in CALIBRATIONS:
            assert drop_block(torch.ones(2, 3, *shape), 0.1, 7, True, calibrate).shape == (2, 3, *shape)
    assert z_of_mean(dropped((6, 6), 0.1, 7).flatten(1).mean(1), 0.1) < LIMIT


def test_blocks_of_oblong_maps_are_cut_along_the_short_axis_only():
    lost = dropped((4, 9), 0.2, 7, maps=800)
    assert bool((lost == lost[:, :1]).all())  # all of the four rows
    widths = lost[:, 0].sum(1)
    assert set(widths.tolist()) <= {0.0, 7.0, 8.0, 9.0} and bool((widths == 7).any())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_everything_dropped_gives_zeros_not_nan(dtype):
    """No cell kept: cells / 0 is infinite, and infinity times 0 NaN."""
    for x in (torch.ones(2, 3, 7, 7, dtype=dtype), torch.ones(2, 3, 50, 50, dtype=dtype)):
        x.requires_grad_()
        y = drop_block(x, 1 - 1e-12, 50, generator=generator())
        y.sum().backward()
        assert bool((y == 0).all()) and bool((x.grad == 0).all())


def test_rate_one_is_not_a_half():
    """The paper's formula at p = 1 leaves 45 % of a map of 14 x 14."""
    rate = 14**2 / (7**2 * 8**2)
    assert 0.4 < float(1 - (1 - (1 - rate) ** 64)) + 0.4 < 0.5
    assert bool((drop_block(torch.ones(4, 3, 14, 14), 1.0, 7) == 0).all())


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: drop_block(x, 1.3), ValueError, r"p must be in \[0, 1\], got 1.3"),
        (lambda x: drop_block(x, math.nan), ValueError, r"p must be in \[0, 1\], got nan"),
        (lambda x: drop_block(x, "0.1"), TypeError, "p must be a float or a floating-point tensor, got str"),
        (
            lambda x: drop_block(x, torch.tensor([0.1, 0.2])),
            ValueError,
            r"p must be a number or a tensor without dimensions, got the shape \(2,\)",
        ),
        (lambda x: drop_block(x, 0.1, 0), ValueError, "block_size must be at least 1, got 0"),
        (lambda x: drop_block(x, 0.1, 2.5), TypeError, "block_size must be an int, got float"),
        (lambda x: drop_block(x, 0.1, True), TypeError, "block_size must be an int, got bool"),
        (
            lambda x: drop_block(x, 0.1, 3, calibrate="mean"),
            ValueError,
            'calibrate must be "exact", "uniform" or "paper", got \'mean\'',
        ),
        (lambda x: drop_block(x.long(), 0.1, 3), TypeError, "x must be a floating-point tensor, got torch.int64"),
        (lambda x: drop_block(x[0, 0]), ValueError, r"\(N, C, \*spatial\) with 3 to 5 dimensions, got \(8, 8\)"),
        (lambda x: drop_block(x[0, 0], training=False), ValueError, "3 to 5 dimensions"),
        (lambda x: drop_block(x[:, :, None, None]), ValueError, r"3 to 5 dimensions, got \(2, 3, 1, 1, 8, 8\)"),
        (
            lambda x: drop_block(x[:, :, None, None], training=False),
            ValueError,
            r"3 to 5 dimensions, got \(2, 3, 1, 1, 8, 8\)",
        ),
        (lambda x: DropBlock1d()(x), ValueError, r"x must have the shape \(N, C, L\), got \(2, 3, 8, 8\)"),
        (lambda x: DropBlock2d()(x[0]), ValueError, r"x must have the shape \(N, C, H, W\), got \(3, 8, 8\)"),
        (lambda x: DropBlock2d().eval()(x[0]), ValueError, r"x must have the shape \(N, C, H, W\), got \(3, 8, 8\)"),
        (lambda x: DropBlock3d()(x), ValueError, r"x must have the shape \(N, C, D, H, W\), got \(2, 3, 8, 8\)"),
        (lambda x: DropBlock2d(-0.1), ValueError, r"p must be in \[0, 1\], got -0.1"),
        (lambda x: DropBlock2d(0.1, 0), ValueError, "block_size must be at least 1, got 0"),
        (lambda x: DropBlock2d(0.1, 7.0), TypeError, "block_size must be an int, got float"),
        (lambda x: DropBlock2d(0.1, 7, "other"), ValueError, "calibrate must be"),
        (lambda x: seed_rate((8, 8), 2.0, 3), ValueError, r"p must be in \[0, 1\], got 2.0"),
        (lambda x: rate_map((8, 8), 0.1, 3, "none"), ValueError, "calibrate must be"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call(random(2, 3, 8, 8))
