"""The masks: exact rates, independence, reproducibility, and what one coin decides about.

Statistical tests use fixed generators and compare with 4.5 standard errors: a right source fails one such comparison
with a probability of 7e-6, and each test makes at most some dozens of them.
"""

import functools
import hashlib
import itertools
import math

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from companion import masks
from companion.experiments.masks import (
    METHODS,
    SIX_UNITS,
    grid_probability,
    kept_share,
    kinds,
    masked_sum,
    rounded_share,
)
from companion.experiments.protocol import load
from companion.masks import (
    FEW,
    bernoulli,
    block_mask,
    channel_mask,
    check_p,
    coin,
    element_mask,
    normal_like,
    rare_hits,
    sample_mask,
    step_mask,
    weight_mask,
    word_mask,
)

LIMIT = 4.5
RATES = (1e-4, 1 / 256, 0.01, 0.1, 0.25, 0.3, 0.5, 0.7, 0.9, 0.999, 255 / 256, 1 - 1e-4)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def z_of_share(dropped, n, p):
    return (dropped - n * p) / math.sqrt(n * p * (1 - p))


# --- the coin ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", RATES)
def test_realised_rate_is_p(p):
    n = 2_000_000
    mask = bernoulli((n,), p, generator=generator(11))
    assert abs(z_of_share(n - int(mask.sum()), n, p)) < LIMIT


def test_realised_rate_with_one_rate_a_row():
    rates = torch.tensor(RATES, dtype=torch.float64)[:, None]
    n = 400_000
    dropped = n - bernoulli((len(RATES), n), rates, generator=generator(12)).sum(1)
    for p, count in zip(RATES, dropped.tolist(), strict=True):
        assert abs(z_of_share(count, n, p)) < LIMIT, p


@pytest.mark.parametrize("p", [0.3, 0.1, 1e-3, 0.9, 1 / 3, 0.999, 0.5, 3 / 256])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_the_two_stages_together_are_exact(monkeypatch, p, as_tensor):
    """Every byte comes up equally often, the second stage only tells its rate: together they must make p."""
    every_byte = torch.arange(256, dtype=torch.uint8).repeat(64)
    second = [0.0]  # not called where the bytes alone are exact
    monkeypatch.setattr(masks, "_random_bytes", lambda n, generator: every_byte[:n].clone())
    monkeypatch.setattr(masks, "rare_hits", lambda n, q, **_: second.append(q) or torch.empty(0, dtype=torch.int64))
    n = len(every_byte)
    mask = bernoulli((n,), torch.full((n,), p, dtype=torch.float64) if as_tensor else p)
    first = (mask == (0 if p <= 0.5 else 1)).double().mean().item()  # the share of the rarer side
    assert 1 - (1 - first) * (1 - second[-1]) == pytest.approx(min(p, 1 - p), abs=1e-15)
    assert 0 <= second[-1] < 1 / 128


@pytest.mark.parametrize("q", [1e-4, 1 / 300, 0.05, 0.5])
def test_rare_hits_are_a_bernoulli_process(q):
    n = 2_000_000
    balls = rare_hits(n, q, generator=generator(3))
    assert balls.dtype == torch.int64 and balls.min() >= 0 and balls.max() < n
    hits = balls.unique()  # ascending, each once
    assert abs(z_of_share(len(hits), n, q)) < LIMIT
    neighbours = int((hits.diff() == 1).sum())
    assert abs(z_of_share(neighbours, len(hits) - 1, q)) < LIMIT
    late = int((hits >= n // 2).sum())
    assert abs(z_of_share(late, len(hits), 0.5)) < LIMIT


def test_every_coin_is_hit_as_often_as_any_other():
    n, q, draws, source = 7, 0.3, 4000, generator(4)
    hit = sum(torch.bincount(rare_hits(n, q, generator=source), minlength=n).clamp(max=1) for _ in range(draws))
    assert all(abs(z_of_share(count, draws, q)) < LIMIT for count in hit.tolist())


def test_the_number_of_rare_hits_varies_as_that_of_coins_does():
    """A fixed number of balls would have the right mean, and too small a variance."""
    n, q, draws, source = 500, 0.04, 4000, generator(5)
    counts = torch.tensor([len(rare_hits(n, q, generator=source).unique()) for _ in range(draws)], dtype=torch.float64)
    variance = n * q * (1 - q)
    assert abs(counts.mean().item() - n * q) < LIMIT * math.sqrt(variance / draws)
    assert abs(counts.var().item() / variance - 1) < LIMIT * math.sqrt(2 / draws) * 1.1  # 1.1: a little kurtosis


def test_rare_hits_may_find_nothing():
    assert len(rare_hits(0, 0.5)) == len(rare_hits(1000, 0.0)) == len(rare_hits(10**6, 1e-300)) == 0


@pytest.mark.parametrize("n", [FEW - 1, FEW, FEW + 5])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.97])
def test_realised_rate_on_both_sides_of_few(n, p):
    source = generator(n)
    kept = sum(int(bernoulli((n,), p, generator=source).sum()) for _ in range(60))
    assert abs(z_of_share(kept, 60 * n, 1 - p)) < LIMIT


def test_a_byte_alone_would_not_do():
    """The refinement is needed: bytes only would make 76/256 or 77/256 of 0.3, and the sample can tell."""
    n = 10_000_000
    share = 1 - bernoulli((n,), 0.3, generator=generator(5)).double().mean().item()
    error = math.sqrt(0.3 * 0.7 / n)
    assert abs(share - 0.3) < LIMIT * error < min(abs(76 / 256 - 0.3), abs(77 / 256 - 0.3))


@pytest.mark.parametrize("p", [0.3, 0.5])
def test_coins_are_independent_of_their_neighbours(p):
    """Lags within a 64-bit word (1 to 7), of whole words, and of a power of two that a counter might repeat."""
    n = 1_000_000
    mask = bernoulli((n,), p, generator=generator(3)).double()
    centred = (mask - (1 - p)) / math.sqrt(p * (1 - p))
    for lag in (*range(1, 17), 24, 64, 1024, 4096):
        z = float(centred[lag:] @ centred[:-lag]) / math.sqrt(n - lag)
        assert abs(z) < LIMIT, lag


def test_calls_are_independent():
    source, n, p = generator(4), 1_000_000, 0.3
    first, second = (bernoulli((n,), p, generator=source).double() - 0.7 for _ in range(2))
    assert abs(float(first @ second) / (p * (1 - p) * math.sqrt(n))) < LIMIT


@pytest.mark.parametrize("value", [0.0, 1.0, 0, 1])
def test_certain_coins_take_no_draw(value):
    source = generator()
    before = source.get_state()
    assert bool((bernoulli((5, 7), value, generator=source) == 1 - int(value)).all())
    assert torch.equal(source.get_state(), before)


def test_certain_entries_of_a_rate_tensor_are_certain():
    mask = bernoulli((2, 100_000), torch.tensor([[0.0], [1.0]]), generator=generator())
    assert mask.sum(1).tolist() == [100_000, 0]


def test_rate_tensor_broadcasts():
    p = torch.tensor([0.0, 1.0]).view(1, 2, 1)
    mask = bernoulli((3, 2, 5), p, generator=generator())
    assert bool((mask[:, 0] == 1).all()) and bool((mask[:, 1] == 0).all())
    assert bernoulli((4,), torch.tensor(1.0)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (7,), (3, 5, 2)])
def test_shape_and_dtype(shape):
    for p in (0.3, 0.5, torch.tensor(0.3)):
        mask = bernoulli(shape, p, generator=generator())
        assert mask.shape == shape and mask.dtype == torch.uint8
        assert bool((mask <= 1).all())


# --- randomness: the same state, the same mask ------------------------------------------------------------------------

GOLDEN = [
    [1, 1, 1, 1, 1, 1, 0, 1, 1, 0, 1, 0],
    [1, 1, 1, 1, 1, 0, 1, 1, 0, 1, 0, 1],
    [0, 1, 1, 1, 1, 0, 1, 1, 0, 0, 1, 1],
    [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0],
]


def test_golden_mask():
    """A seed gives this mask on every processor and with any number of threads."""
    assert bernoulli((4, 12), 0.3, generator=generator(0)).tolist() == GOLDEN
    rates = torch.tensor([[0.1], [0.5], [0.9]], dtype=torch.float64)
    assert bernoulli((3, 8), rates, generator=generator(2)).tolist() == [
        [1, 0, 1, 1, 1, 1, 1, 1],
        [1, 0, 0, 1, 1, 1, 1, 0],
        [1, 0, 0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize("p, golden", [(0.3, "e52f0719e52372ed"), (0.5, "beba15273b60fc1a")])
def test_golden_masks_of_many_coins(p, golden):
    mask = bernoulli((1 << 16,), p, generator=generator(1))
    assert hashlib.sha256(bytes(mask.tolist())).hexdigest()[:16] == golden


def test_a_fair_coin_is_a_bit():
    """Numbers of 64 bits, lowest bit first, whose number is no multiple of 64 here."""
    n = FEW + 13
    words = torch.empty((n + 63) // 64, dtype=torch.int64).random_(-(2**63), None, generator=generator(6)).tolist()
    bits = [word >> bit & 1 for word in words for bit in range(64)]
    assert bernoulli((n,), 0.5, generator=generator(6)).tolist() == bits[:n]


def test_global_generator_is_honoured():
    torch.manual_seed(0)
    first = bernoulli((4, 12), 0.3)
    following = bernoulli((4, 12), 0.3)
    assert first.tolist() == GOLDEN
    assert not torch.equal(first, following)


def test_own_generator_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    source = generator(0)
    first, second = bernoulli((4, 12), 0.3, generator=source), bernoulli((4, 12), 0.3, generator=source)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.tolist() == GOLDEN and not torch.equal(first, second)


def test_a_coin_for_everything():
    source = generator(6)
    kept = sum(coin(0.3, generator=source) for _ in range(4000))
    assert abs(z_of_share(kept, 4000, 0.7)) < LIMIT
    assert coin(0.0) is True and coin(1.0) is False
    assert coin(torch.tensor(0.3, dtype=torch.float64), generator=generator(7)) == coin(0.3, generator=generator(7))


def test_noise_is_standard_normal():
    x = torch.empty(300, 400, dtype=torch.float64)
    z = normal_like(x, generator=generator(8))
    assert z.shape == x.shape and z.dtype == x.dtype
    n = z.numel()
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(z.pow(power).mean().item() - moment) < LIMIT * math.sqrt(variance / n)


@pytest.mark.parametrize("draw", [lambda x: element_mask(x, 0.5), lambda x: normal_like(x)])
def test_vmap_draws_anew_or_once(draw):
    x = torch.ones(5, 200)
    different = torch.func.vmap(draw, randomness="different")(x)
    same = torch.func.vmap(draw, randomness="same")(x)
    assert different.shape == same.shape == x.shape
    assert all(not torch.equal(different[0], row) for row in different[1:])
    assert all(torch.equal(same[0], row) for row in same[1:])
    with pytest.raises(RuntimeError, match="vmap"):
        torch.func.vmap(draw)(x)


@pytest.mark.parametrize("randomness", ["different", "same"])
def test_vmap_of_rates_and_borders(randomness):
    """Rates that all examples share, as a tensor; rates with axes of their own; blocks that reach over the border."""
    x = torch.ones(50, 6, 200)
    vmap = functools.partial(torch.func.vmap, randomness=randomness)
    torch.manual_seed(0)
    shared = vmap(lambda x: element_mask(x, torch.tensor(0.8)))(x)
    assert abs(z_of_share(int((shared[:1] == 0).sum()), shared[0].numel(), 0.8)) < LIMIT
    each = vmap(lambda x, p: element_mask(x, p))(x, torch.tensor([[0.0], [1.0]]).repeat(50, 3, 1).view(50, 6, 1))
    assert bool((each[:, ::2] == 1).all()) and not bool(each[:, 1::2].any())
    maps = torch.ones(3, 4, 5, 20)
    for rate in (0.05, torch.tensor(0.05)):
        blocks = vmap(lambda x: block_mask(x, rate, 9, padded=True))(maps)  # noqa: B023
        whole = vmap(lambda x: block_mask(x, rate, 9))(maps)  # noqa: B023
        border, edge = (masks[0, ..., 0].double().mean() for masks in (blocks, whole))
        assert border < edge  # nine seeds reach the first cell instead of one
    cut = vmap(lambda x, p: block_mask(x, p, 20, padded=True))(maps, torch.full((3,), 0.02))
    assert 0 < float(cut[..., 0].double().mean()) and bool((cut[..., :1] != cut).any())


@pytest.mark.parametrize("transformed", [False, True])
def test_masks_stand_where_x_stands_whatever_the_default_device(transformed):
    def draw(x):
        ids = torch.zeros(x.shape, dtype=torch.int64, device="cpu")
        made = []
        if not transformed:  # vmap has no rule for coins of a shape
            rates = 0.0, 0.3, 1.0, torch.tensor(0.3, device="cpu")
            made = [bernoulli((3, n), p, device="cpu") for n in (5, FEW) for p in rates]
        made += [element_mask(x, p) for p in (0.0, 0.3, torch.tensor(0.3, device="cpu"))]
        made += [normal_like(x), word_mask(ids, 0.3), word_mask(ids, torch.tensor(0.3, device="cpu"))]
        made += [block_mask(x.view(2, -1, 20), 0.1, size, padded=True) for size in (1, 3, 30)]
        made += [block_mask(x.view(2, -1, 20)[:0], 0.1, 2)]
        return tuple(each for each in made if each.numel() or not transformed)

    x = torch.ones(2, 40, 300)
    masks.constant.cache_clear()
    with torch.device("meta"):
        for each in torch.func.vmap(draw, randomness="different")(x) if transformed else draw(x):
            assert each.device.type == "cpu" and each.dtype in (torch.uint8, torch.float32)
        assert coin(0.4321) in (True, False) and coin(torch.tensor(0.4321, device="cpu")) in (True, False)
    masks.constant.cache_clear()


def test_masks_of_fake_tensors():
    with FakeTensorMode() as mode:
        x = mode.from_tensor(torch.ones(100, 3 * FEW // 100))
        assert element_mask(x, 0.3).shape == normal_like(x).shape == x.shape


@pytest.mark.parametrize("draw", [lambda x: element_mask(x, 0.3), lambda x: normal_like(x)])
def test_compiled_draw_equals_eager(draw):
    x = torch.ones(10, 1000)
    torch.manual_seed(0)
    eager = draw(x)
    torch.manual_seed(0)
    assert torch.equal(torch.compile(draw, fullgraph=True, backend="aot_eager")(x), eager)


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [-0.1, 1.3, float("nan"), float("inf"), -1, 2])
def test_a_rate_out_of_range_is_named(value):
    with pytest.raises(ValueError, match=rf"^p must be in \[0, 1\], got {value}$"):
        bernoulli((3,), value)


@pytest.mark.parametrize("value", ["0.5", True, None, [0.5], 1j])
def test_a_rate_of_a_wrong_type_is_named(value):
    with pytest.raises(TypeError, match=rf"^p must be a float or a floating-point tensor, got {type(value).__name__}$"):
        bernoulli((3,), value)


@pytest.mark.parametrize("values", [[0.5, 1.5], [-0.1, 0.5], [0.2, float("nan")]])
def test_a_rate_tensor_out_of_range_is_named(values):
    with pytest.raises(ValueError, match=r"^p must be in \[0, 1\], got values from"):
        bernoulli((2,), torch.tensor(values))


def test_a_rate_tensor_of_a_wrong_type_is_named():
    with pytest.raises(TypeError, match=r"floating-point tensor, got a tensor of torch\.int64"):
        bernoulli((2,), torch.tensor([0, 1]))


def test_check_p_can_use_another_name():
    with pytest.raises(ValueError, match=r"^seed_rate must be in"):
        check_p(1.5, "seed_rate")
    assert check_p(1) == 1.0 and isinstance(check_p(1), float)


# --- kinds of mask ----------------------------------------------------------------------------------------------------


def test_shapes_of_all_kinds():
    x = torch.empty(4, 6, 5, 7)
    w = torch.empty(3, 8)
    assert element_mask(x, 0.5).shape == (4, 6, 5, 7)
    assert channel_mask(x, 0.5).shape == (4, 6, 1, 1)
    assert sample_mask(x, 0.5).shape == (4, 1, 1, 1)
    assert step_mask(x, 0.5, 1).shape == (4, 1, 5, 7)
    assert step_mask(x, 0.5, -1).shape == (4, 6, 5, 1)
    assert weight_mask(w, 0.5).shape == (3, 8)
    assert weight_mask(w, 0.5, examples=4).shape == (4, 3, 8)
    assert block_mask(x, 0.1, 3).shape == (4, 6, 5, 7)
    assert block_mask(x, 0.1, 3, share_channels=True).shape == (4, 1, 5, 7)


@pytest.mark.parametrize(
    "draw",
    [
        lambda g: element_mask(torch.empty(1000, 500), 0.3, generator=g),
        lambda g: channel_mask(torch.empty(1000, 500, 2), 0.3, generator=g),
        lambda g: sample_mask(torch.empty(500_000, 2), 0.3, generator=g),
        lambda g: step_mask(torch.empty(1000, 3, 500), 0.3, 1, generator=g),
        lambda g: weight_mask(torch.empty(1000, 500), 0.3, generator=g),
        lambda g: weight_mask(torch.empty(100, 50), 0.3, examples=100, generator=g),
        lambda g: block_mask(torch.empty(10, 50, 32, 32), 0.3, 1, generator=g),
    ],
)
def test_every_kind_drops_at_its_rate_from_its_generator(draw):
    mask = draw(generator(7))
    assert abs(z_of_share(mask.numel() - int(mask.sum()), mask.numel(), 0.3)) < LIMIT
    assert torch.equal(mask, draw(generator(7)))
    assert not torch.equal(mask, draw(generator(8)))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: channel_mask(torch.empty(4, 6), 0.5), r"x must have the shape \(N, C, \*spatial\).*got \(4, 6\)"),
        (lambda: sample_mask(torch.empty(()), 0.5), r"^x must have the shape \(N, \*\).*got a scalar$"),
        (lambda: step_mask(torch.empty(4, 6), 0.5, 2), "axis must be an axis of x, which has 2 dimensions, got 2"),
        (lambda: step_mask(torch.empty(4, 6), 0.5, -3), "axis must be an axis of x.*got -3"),
        (lambda: block_mask(torch.empty(4, 6), 0.5, 3), r"x must have the shape \(N, C, \*spatial\).*got \(4, 6\)"),
        (lambda: block_mask(torch.empty(1, 1, 1, 1, 1, 1), 0.5, 3), "3 to 5 dimensions"),
        (lambda: block_mask(torch.empty(1, 1, 4), 0.5, 0), "block_size must be at least 1, got 0"),
        (lambda: block_mask(torch.empty(1, 1, 4), 1.5, 2), r"seed_rate must be in \[0, 1\], got 1.5"),
        (lambda: weight_mask(torch.empty(4, 6), 0.5, examples=0), "examples must be at least 1, got 0"),
    ],
)
def test_wrong_shapes_and_sizes_are_named(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_a_block_size_of_a_wrong_type_is_named():
    with pytest.raises(TypeError, match="block_size must be an int, got float"):
        block_mask(torch.empty(1, 1, 8), 0.1, 2.5)


def grown(seeds, size, lengths):
    """Blocks of every seed, written out cell by cell."""
    mask = torch.ones(*seeds.shape[:2], *lengths, dtype=torch.uint8)
    for place in seeds.nonzero().tolist():
        spans = [slice(at, at + edge) for at, edge in zip(place[2:], size, strict=True)]
        mask[(place[0], place[1], *spans)] = 0
    return mask


@pytest.mark.parametrize(
    ("lengths", "block"),
    [
        ((9,), 3),
        ((9,), 4),
        ((7, 7), 7),
        ((6, 9), 2),
        ((5, 8), 3),
        ((3, 9), 5),
        ((1, 1), 3),
        ((4, 5, 6), 3),
        ((8, 8), 1),
    ],
)
@pytest.mark.parametrize("shared", [False, True])
def test_blocks_are_complete_and_cut_to_the_map(lengths, block, shared):
    x = torch.empty(12, 4, *lengths)
    size = [min(block, length) for length in lengths]
    places = [length - edge + 1 for length, edge in zip(lengths, size, strict=True)]
    mask = block_mask(x, 0.4, block, share_channels=shared, generator=generator(9))
    kept_seeds = bernoulli((12, 1 if shared else 4, *places), 0.4, generator=generator(9))
    assert torch.equal(mask, grown(1 - kept_seeds, size, lengths))
    assert int(mask.sum()) < mask.numel()  # at least one block fell, or nothing was tested


def test_block_extremes():
    x = torch.empty(2, 3, 5, 5)
    assert bool((block_mask(x, 0.0, 3) == 1).all())
    assert bool((block_mask(x, 1.0, 3) == 0).all())


def test_chapter_table_names_every_kind():
    rows = {row["kind"]: row["mask"] for row in kinds()}
    assert rows["channel"] == "8×16×1×1" and rows["weight per example"] == "8×32×64"
    assert rows["sample"] == "8×1×1×1" and rows["step"] == "8×1×64"


# --- the worked examples of the chapter -------------------------------------------------------------------------------


def test_six_units_under_all_masks():
    result = masked_sum(SIX_UNITS, 0.5)
    assert len(result.sums) == 64 and result.full == 3.5
    assert result.mean == pytest.approx(1.75, abs=1e-12)
    assert result.deviation == pytest.approx(0.5 * math.sqrt(19.25), abs=1e-12)
    assert int((result.sums > 3.5).sum()) == 12 and int((result.sums < 0).sum()) == 12
    assert (float(result.sums.min()), float(result.sums.max())) == (-3.0, 6.5)
    three = result.given_kept(3)
    assert len(three.sums) == 20 and three.mean == pytest.approx(1.75, abs=1e-12)
    assert (float(three.sums.min()), float(three.sums.max())) == (-2.5, 6.0)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("inverted", [False, True])
def test_moments_of_the_masked_sum(p, inverted):
    result = masked_sum(SIX_UNITS, p, inverted=inverted)
    k = 1 - p
    assert result.mean == pytest.approx(3.5 if inverted else k * 3.5)
    assert result.deviation == pytest.approx(math.sqrt((p / k if inverted else p * k) * 19.25))


def test_sampled_sums_agree_with_the_enumeration():
    n = 1_000_000
    sums = bernoulli((n, 6), 0.5, generator=generator(0)).double() @ torch.tensor(SIX_UNITS, dtype=torch.float64)
    assert abs(float(sums.mean()) - 1.75) < LIMIT * 2.194 / math.sqrt(n)


@pytest.mark.parametrize("bits", [3, 8])
@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_grid_probability_counts_the_grid(bits, threshold):
    grid = torch.arange(2**bits, dtype=torch.float64) / 2**bits
    counted = {">": grid > threshold, ">=": grid >= threshold, "<": grid < threshold, "<=": grid <= threshold}
    for comparison, hits in counted.items():
        assert grid_probability(comparison, threshold, bits) * 2**bits == int(hits.sum())


def test_strict_comparisons_on_a_grid():
    assert float(grid_probability(">", 0.5, 8)) == 0.49609375
    assert float(grid_probability("<", 0.5, 8)) == float(grid_probability(">=", 0.5, 8)) == 0.5
    assert 1 - grid_probability(">", 0.0, 24) == grid_probability("<", 2**-24, 24)  # one spurious zero in 2^24
    with pytest.raises(ValueError, match="comparison must be one of"):
        grid_probability("==", 0.5, 8)
    with pytest.raises(ValueError, match=r"bits must be in \[1, 24\], got 25"):
        grid_probability(">", 0.5, 25)


def test_low_precision_shares_and_draws_agree():
    """torch's 16-bit uniform numbers behave as the enumeration of their 2^24 sources says."""
    n = 2_000_000
    for p, dtype in itertools.product((0.5, 0.1), (torch.float32, torch.float16, torch.bfloat16)):
        u = torch.rand(n, dtype=dtype, generator=generator(21))
        for method, kept in (("rand > p", u > p), ("rand < k", u < 1 - p)):
            exact = rounded_share(method, p, dtype)
            assert abs(z_of_share(int(kept.sum()), n, exact)) < LIMIT, (method, p, dtype)
    assert rounded_share("rand > p", 0.5, torch.bfloat16) == pytest.approx(0.49609375, abs=1e-6)
    with pytest.raises(ValueError, match="method must be one of"):
        rounded_share("companion", 0.5, torch.float32)


def test_kept_share_record():
    small = kept_share(rates=(0.5,), dtypes=(torch.bfloat16,), draws=20_000, seeds=(0, 1))
    assert small.arms == METHODS and small.seeds == (0, 1)
    stored = load("kept-share")
    for metric, arms in stored.metrics.items():
        k = float(metric.split(",")[0].removeprefix("k = "))
        error = math.sqrt(k * (1 - k) / (stored.budget["coins a seed"] * len(stored.seeds)))
        for exact_arm in ("bernoulli_(k)", "companion"):
            assert abs(sum(arms[exact_arm]) / len(stored.seeds) - k) < LIMIT * error, metric
    error = math.sqrt(0.25 / (stored.budget["coins a seed"] * len(stored.seeds)))
    assert stored.mean("k = 0.5, bfloat16", "rand > p").mean < 0.5 - 4 * error


def test_nothing_of_a_transform_is_kept_for_later_calls():
    p = 0.4321  # a rate that no other test has put into the cache
    generator = torch.Generator().manual_seed(0)

    def scaled(x):
        return (x * masks.bernoulli(x.shape, p, generator=generator)).sum()

    torch.func.grad(scaled)(torch.ones(5))
    assert not torch._C._functorch.is_functorch_wrapped_tensor(masks.constant(p))


# --- one coin a word --------------------------------------------------------------------------------------------------


def split_mix(key, place):
    """SplitMix64 in Python's own integers: the output at a place of the stream that begins at the key."""
    mask = (1 << 64) - 1
    z = (key + (place + 1) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def test_the_hash_is_split_mix():
    assert split_mix(0, 0) == 0xE220A8397B1DCDAF  # the first output of the published code for the seed 0


@pytest.mark.parametrize("p", [0.3, torch.tensor(0.7)])
def test_a_word_is_kept_by_the_hash_of_key_and_id(p):
    bits = bernoulli((64,), 0.5, generator=generator(7)).tolist()
    key = sum(bit << place for place, bit in enumerate(bits))
    ids = torch.tensor([[0, 1, 2, 250_000], [7, 1, 0, 2**31 - 1]])
    kept = [[int(split_mix(key, i) >> 11 >= float(p) * 2**53) for i in row] for row in ids.tolist()]
    mask = word_mask(ids, p, generator=generator(7))
    assert mask.tolist() == kept and mask.dtype == torch.uint8
    assert torch.equal(word_mask(ids.int(), p, generator=generator(7)), mask)


@pytest.mark.parametrize("place", [0, 1, 250_000])
@pytest.mark.parametrize("number", [float, lambda p: torch.tensor(p, dtype=torch.float64)])
def test_all_53_bits_decide(place, number):
    """A word is kept at the rate of its own uniform number, and dropped at the next rate that there is."""
    bits = bernoulli((64,), 0.5, generator=generator(7)).tolist()
    uniform = split_mix(sum(bit << at for at, bit in enumerate(bits)), place) >> 11
    at, beyond = (
        word_mask(torch.tensor([place]), number(n / 2**53), generator=generator(7)) for n in (uniform, uniform + 1)
    )
    assert at.tolist() == [1] and beyond.tolist() == [0]


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
def test_coins_of_words_are_independent(p):
    """Over words, over neighbouring words, over draws, and over words at distances that a weak hash would show."""
    n, source = 200_000, generator(8)
    first, second = (1 - word_mask(torch.arange(n), p, generator=source).long() for _ in range(2))
    assert abs(z_of_share(int(first.sum()), n, p)) < LIMIT
    assert abs(z_of_share(int((first * second).sum()), n, p * p)) < LIMIT
    for distance in (1, 2, 64, 256, 1024, 65_536):
        both = first[distance:] * first[:-distance]
        assert abs(z_of_share(int(both.sum()), len(both), p * p)) < LIMIT, distance


def test_one_word_over_many_draws():
    draws, source = 5_000, generator(9)
    dropped = sum(1 - word_mask(torch.tensor([3, 4]), 0.2, generator=source).long() for _ in range(draws))
    assert all(abs(z_of_share(count, draws, 0.2)) < LIMIT for count in dropped.tolist())


def test_word_masks_without_a_choice():
    ids = torch.arange(100)
    for p in (0.0, torch.zeros(())):
        assert bool(word_mask(ids, p).all())
    for p in (1.0, torch.ones(())):
        assert not bool(word_mask(ids, p).any())
    with pytest.raises(ValueError, match=r"^p must be in \[0, 1\]"):
        word_mask(ids, 1.5)


@pytest.mark.parametrize(("ids", "got"), [(torch.ones(3), r"a tensor of torch\.float32"), ([1, 2], "list")])
def test_ids_of_a_wrong_type_are_named(ids, got):
    with pytest.raises(TypeError, match=f"^ids must be a tensor of torch.int64 or torch.int32, got {got}$"):
        word_mask(ids, 0.5)


def test_one_coin_is_hit_as_often_as_asked_for():
    source = generator(4)
    hit = sum(bool(len(rare_hits(1, 0.3, generator=source))) for _ in range(2000))
    assert abs(z_of_share(hit, 2000, 0.3)) < LIMIT


def test_a_coin_of_a_rate_tensor_follows_its_generator():
    throws = [[coin(torch.tensor(0.5), generator=source) for _ in range(20)] for source in (generator(1), generator(1))]
    assert throws[0] == throws[1] and len(set(throws[0])) == 2


def test_masks_without_a_choice_are_bytes():
    for p in (0.0, 1.0, torch.zeros(()), torch.ones(())):
        assert bernoulli((4, 5), p).dtype == torch.uint8
    assert block_mask(torch.ones(0, 3, 8), 0.5, 3).dtype == torch.uint8


def test_the_least_that_masks_take():
    assert sample_mask(torch.ones(5), 0.5).shape == (5,)
    assert step_mask(torch.ones(4, 6), 0.5, -2).shape == (1, 6)
    assert weight_mask(torch.ones(3, 8), 0.5, examples=1).shape == (1, 3, 8)


def test_merged_seeds_keep_their_digits():
    """Blocks of 9 cells on a map of 4: in the middle place stand the 6 seeds that cover all of it."""
    rate = masks._merged(0.1, 9, (4,))
    assert rate.dtype == torch.float64 and rate.tolist() == pytest.approx(
        [0.1] * 3 + [1 - 0.9**6] + [0.1] * 3, rel=1e-14
    )


def test_a_rate_of_seeds_that_is_seen_late_is_named():
    draw = torch.func.vmap(lambda x: block_mask(x, torch.tensor(1.5), 2), randomness="different")
    with pytest.raises(ValueError, match=r"^seed_rate must be in \[0, 1\], got 1.5$"):
        draw(torch.ones(2, 1, 1, 8))


@pytest.mark.parametrize("q", [1.0, -0.1, math.nan])
def test_a_rate_of_hits_out_of_range_is_named(q):
    with pytest.raises(ValueError, match=rf"^q must be in \[0, 1\), got {q}$"):
        rare_hits(5, q)
