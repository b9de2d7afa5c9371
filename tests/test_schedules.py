"""Rates over depth and over training: closed forms, the three conventions, and a ramp in every situation of a module.

The only statistical test uses a fixed generator and 4.5 standard errors: a right form fails it with 7e-6.
"""

import copy
import io
import math
import pickle

import pytest
import torch
from torch import nn

from companion import Dropout
from companion.masks import bernoulli
from companion.schedules import (
    Ramp,
    advance,
    constant_depth,
    depth_distribution,
    exclusive_depth,
    expected_depth,
    inclusive_depth,
    linear_depth,
    rate_at,
)

LIMIT = 4.5
DEPTHS = [linear_depth, inclusive_depth, exclusive_depth]
SHAPES = [("linear", 0.1, 0.5), ("linear", 0.5, 0.0), ("cosine", 0.0, 0.5), ("early", 0.4, 0.0), ("late", 0.0, 0.4)]


# --- over depth -------------------------------------------------------------------------------------------------------


def test_three_conventions_written_out():
    assert linear_depth(4, 0.5) == [0.125, 0.25, 0.375, 0.5]
    assert inclusive_depth(5, 0.5) == [0.0, 0.125, 0.25, 0.375, 0.5]
    assert exclusive_depth(4, 0.5) == [0.0, 0.125, 0.25, 0.375]
    assert constant_depth(3, 0.2) == [0.2, 0.2, 0.2]


def test_one_block():
    assert linear_depth(1, 0.3) == [0.3] and inclusive_depth(1, 0.3) == [0.0] and exclusive_depth(1, 0.3) == [0.0]


@pytest.mark.parametrize("depth", [1, 2, 3, 7, 12, 24, 50, 54])
@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_conventions_of_timm_and_of_the_paper(depth, p):
    """The paper's first block is dropped at p / L; timm's never. A schedule that mixes them up is off by that."""
    timm = torch.linspace(0, p, depth, dtype=torch.float64).tolist()
    assert inclusive_depth(depth, p) == pytest.approx(timm, abs=1e-15)
    paper = [1 - (1 - l / depth * (1 - (1 - p))) for l in range(1, depth + 1)]  # p_l = 1 - l/L (1 - p_L), survival
    assert linear_depth(depth, p) == pytest.approx(paper, abs=1e-15)
    assert linear_depth(depth, p)[-1] == p  # to the last bit
    assert exclusive_depth(depth, p) == pytest.approx([0.0, *paper[:-1]], abs=1e-15)


@pytest.mark.parametrize("depth", [1, 2, 50, 54, 110])
@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1.0])
def test_expected_depth_has_closed_forms(depth, p):
    assert expected_depth(linear_depth(depth, p)) == pytest.approx(depth - p * (depth + 1) / 2)
    assert expected_depth(exclusive_depth(depth, p)) == pytest.approx(depth - p * (depth - 1) / 2)
    assert expected_depth(constant_depth(depth, p)) == pytest.approx(depth * (1 - p))
    if depth > 1:
        assert expected_depth(inclusive_depth(depth, p)) == pytest.approx(depth * (1 - p / 2))


def test_fifty_blocks():
    """37.25, 37.5 and 37.75: the three conventions are told apart; none is 37, and none is L times the last rate."""
    assert [expected_depth(rule(50, 0.5)) for rule in DEPTHS] == [37.25, 37.5, 37.75]
    assert expected_depth(linear_depth(54, 0.5)) == 40.25
    chance = depth_distribution(linear_depth(50, 0.5))
    assert len(chance) == 51 and math.fsum(chance) == pytest.approx(1)
    mean = math.fsum(n * c for n, c in enumerate(chance))
    variance = math.fsum((n - mean) ** 2 * c for n, c in enumerate(chance))
    assert mean == pytest.approx(37.25)
    assert variance == pytest.approx(math.fsum(p * (1 - p) for p in linear_depth(50, 0.5)))
    assert math.sqrt(variance) == pytest.approx(2.91, abs=0.005)
    assert math.fsum(chance[:31]) == pytest.approx(0.012, abs=5e-4)
    assert chance[50] == pytest.approx(1.5e-7, rel=0.03)


def test_distribution_of_the_depth_is_that_of_coins():
    rates = torch.tensor(linear_depth(10, 0.9), dtype=torch.float64)
    counts = bernoulli((20_000, 10), rates, generator=torch.Generator().manual_seed(0)).sum(1)
    chance = depth_distribution(rates.tolist())
    for survivors in range(11):
        expected = chance[survivors]
        seen = (counts == survivors).double().mean().item()
        assert abs(seen - expected) <= LIMIT * math.sqrt(expected * (1 - expected) / 20_000) + 1e-4


@pytest.mark.parametrize("rule", [*DEPTHS, constant_depth])
def test_wrong_arguments_of_depth_are_named(rule):
    name = "p" if rule is constant_depth else "p_last"
    for depth, error in ((0, ValueError), (-3, ValueError), (2.0, TypeError), (True, TypeError)):
        with pytest.raises(error, match=r"^depth must be"):
            rule(depth, 0.5)
    for p, error in ((1.1, ValueError), (-0.1, ValueError), (math.nan, ValueError), ("half", TypeError)):
        with pytest.raises(error, match=rf"^{name} must be"):
            rule(3, p)
    with pytest.raises(ValueError, match=r"^rates must be in \[0, 1\], got 2"):
        expected_depth([0.5, 2])
    with pytest.raises(ValueError, match=r"^rates must be in \[0, 1\], got 2"):
        depth_distribution([0.5, 2])


# --- over training ----------------------------------------------------------------------------------------------------


def test_shapes_at_a_few_steps():
    assert [rate_at(t, 0.0, 0.4, 4) for t in range(7)] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4])
    assert [rate_at(t, 0.4, 0.0, 4) for t in range(6)] == pytest.approx([0.4, 0.3, 0.2, 0.1, 0, 0])
    half = math.sqrt(0.5)
    cosine = [0, 0.2 * (1 - half), 0.2, 0.2 * (1 + half), 0.4, 0.4]
    assert [rate_at(t, 0.0, 0.4, 4, "cosine") for t in range(6)] == pytest.approx(cosine)
    assert [rate_at(t, 0.3, 0.0, 3, "early") for t in range(5)] == [0.3, 0.3, 0.3, 0.0, 0.0]
    assert [rate_at(t, 0.0, 0.3, 3, "late") for t in range(5)] == [0.0, 0.0, 0.0, 0.3, 0.3]


@pytest.mark.parametrize(("shape", "start", "end"), SHAPES)
@pytest.mark.parametrize("steps", [1, 2, 7, 1000])
def test_every_shape_starts_ends_and_never_turns(shape, start, end, steps):
    rates = [rate_at(t, start, end, steps, shape) for t in range(steps + 3)]
    assert rates[0] == start and rates[steps:] == [end] * 3
    assert rates == sorted(rates, reverse=end < start)
    assert all(0 <= p <= 1 for p in rates)


def test_wrong_arguments_of_a_ramp_are_named():
    for build in (Ramp, lambda *args: rate_at(0, *args)):
        for args, error, message in (
            ((1.5, 0.5, 3), ValueError, r"^start must be in \[0, 1\], got 1.5"),
            ((0.5, math.nan, 3), ValueError, r"^end must be in \[0, 1\], got nan"),
            (("a", 0.5, 3), TypeError, r"^start must be"),
            ((0.1, 0.5, 0), ValueError, r"^steps must be at least 1, got 0"),
            ((0.1, 0.5, 2.5), TypeError, r"^steps must be an int, got float"),
            ((0.1, 0.5, 3, "square"), ValueError, r"^shape must be one of 'linear', .* got 'square'"),
            ((0.0, 0.5, 3, "early"), ValueError, r"^early dropout ends lower .* end must be at most 0.0, got 0.5"),
            ((0.5, 0.0, 3, "late"), ValueError, r"^late dropout ends higher .* end must be at least 0.5, got 0.0"),
        ):
            with pytest.raises(error, match=message):
                build(*args)
    with pytest.raises(ValueError, match=r"^step must be at least 0, got -1"):
        rate_at(-1, 0.0, 0.5, 3)


@pytest.mark.parametrize(("shape", "start", "end"), SHAPES)
def test_a_ramp_is_its_formula(shape, start, end):
    ramp = Ramp(start, end, 5, shape)
    for t in range(9):
        assert int(ramp.step) == t and float(ramp.p) == rate_at(t, start, end, 5, shape)
        ramp.advance()


def test_a_layer_follows_its_ramp():
    """Eager: the next call uses the new rate; at rate 0 the input object itself comes back, as with a number."""
    x = torch.ones(100_000)
    layer = Dropout(Ramp(0.0, 0.5, 2))
    assert layer(x) is x
    for expected in (0.25, 0.5, 0.5):
        assert advance(layer) == 1
        torch.manual_seed(0)
        y = layer(x)
        assert abs((y == 0).double().mean().item() - expected) < LIMIT * math.sqrt(expected * (1 - expected) / 100_000)
        torch.manual_seed(0)
        assert torch.equal(y, Dropout(expected)(x))
    assert layer.eval()(x) is x


def test_a_shared_ramp_is_advanced_once():
    ramp, other = Ramp(0.0, 0.5, 10), Ramp(0.0, 0.1, 10)
    model = nn.Sequential(Dropout(ramp), nn.Sequential(Dropout(ramp), Dropout(other)), Dropout(0.5), Dropout(ramp))
    assert advance(model) == 2
    assert int(ramp.step) == int(other.step) == 1
    twin = copy.deepcopy(model)
    assert advance(twin) == 2  # still shared among the copy's layers, and not with the original
    assert int(twin[0].p.step) == int(twin[3].p.step) == 2 and int(ramp.step) == 1
    assert advance(nn.Linear(2, 2)) == 0 and advance(ramp) == 1


@pytest.mark.parametrize(
    "move",
    [
        lambda m: m.half(),
        lambda m: m.bfloat16(),
        lambda m: m.double(),
        lambda m: m.float(),
        lambda m: m.to(torch.float16),
        lambda m: m.to("meta"),
        lambda m: m.to_empty(device="meta"),
    ],
)
def test_the_rate_stays_on_the_host_in_full_precision(move):
    """In float16 a rate of 0.1 would be 0.09998, and on an accelerator each call would wait to read it."""
    ramp = Ramp(0.0, 0.3, 3)
    ramp.advance()
    model = nn.Sequential(nn.Linear(2, 2), Dropout(ramp))
    rate = float(ramp.p)
    move(model)
    assert model[1].p is ramp and ramp.p.dtype == torch.float64 and ramp.step.dtype == torch.int64
    assert ramp.p.device.type == ramp.step.device.type == "cpu" and float(ramp.p) == rate
    advance(model)
    assert float(ramp.p) == rate_at(2, 0.0, 0.3, 3)


def test_a_ramp_made_on_another_default_device():
    with torch.device("meta"):
        ramp = Ramp(0.1, 0.3, 3)
    assert ramp.p.device.type == ramp.step.device.type == "cpu" and float(ramp.p) == 0.1


def test_a_checkpoint_holds_the_schedule():
    """The schedules of other libraries keep their step in a plain attribute: a resumed training starts them anew."""

    def build():
        return nn.Sequential(nn.Linear(2, 2), Dropout(Ramp(0.0, 0.3, 7, "cosine")))

    model = build()
    for _ in range(3):
        advance(model)
    assert set(model.state_dict()) == {"0.weight", "0.bias", "1.p.step", "1.p.p"}
    stream = io.BytesIO()
    torch.save(model.state_dict(), stream)
    stream.seek(0)
    resumed, assigned, half = build(), build(), build().half()
    state = torch.load(stream)
    resumed.load_state_dict(state)
    assigned.load_state_dict(copy.deepcopy(state), assign=True)
    half.load_state_dict(state)
    for twin in (resumed, assigned, half, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        ramp = twin[1].p
        assert int(ramp.step) == 3 and float(ramp.p) == float(model[1].p.p)
        advance(twin)
        assert float(ramp.p) == rate_at(4, 0.0, 0.3, 7, "cosine")
    assert int(model[1].p.step) == 3


def test_what_is_printed():
    ramp = Ramp(0.0, 0.5, 10, "cosine")
    ramp.advance()
    assert repr(ramp) == "Ramp(0.0, 0.5, steps=10, shape='cosine', step=1)"
    assert "steps=10" in repr(Dropout(ramp))


def test_one_compilation_for_twenty_rates():
    """A rate held as a Python number is compiled anew for each value, until the compiler gives up."""
    torch._dynamo.reset()
    compiled = []

    def backend(graph, _):
        compiled.append(graph)
        return graph.forward

    layer = Dropout(Ramp(0.0, 0.5, 19))
    fast = torch.compile(layer, fullgraph=True, backend=backend)
    x = torch.ones(200, 300)
    rates = []
    for _ in range(20):
        torch.manual_seed(0)
        y = fast(x)
        torch.manual_seed(0)
        torch.testing.assert_close(y, layer(x))
        rates.append((y == 0).double().mean().item())
        advance(layer)
    assert len(compiled) == 1
    assert rates[0] == 0 and abs(rates[-1] - 0.5) < LIMIT * math.sqrt(0.25 / 60_000)
    assert all(abs(rate - i / 38) < LIMIT * math.sqrt(0.25 / 60_000) for i, rate in enumerate(rates))
