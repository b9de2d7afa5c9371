"""Stochastic depth: values, calls of the branch, expectations, ranks, and the machinery of torch around it.

Statistical tests use fixed generators and 4.5 standard errors: a right layer fails one comparison with 7e-6, and all of
this file's (about 40) together with 3e-4.
"""

import copy
import datetime
import io
import math
import pickle
import warnings

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from companion import Dropout, DropPath, StochasticDepth, drop_path, stochastic_depth
from companion.layers import stochastic_depth as module
from companion.layers.stochastic_depth import seed_gates
from companion.masks import coin, sample_mask
from companion.schedules import Ramp, advance, expected_depth, linear_depth

LIMIT = 4.5
MODES = ["batch", "sample"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, dtype=torch.float64, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed)).to(dtype)


class Counting(nn.Module):
    """A branch that works on each row alone, and remembers what it was called with."""

    def __init__(self, width=6):
        super().__init__()
        self.linear = nn.Linear(width, width, dtype=torch.float64)
        self.rows = []

    def forward(self, x):
        self.rows.append(len(x))
        return torch.tanh(self.linear(x))


def reference(x, branch, p, mode, source):
    """The formula in one line, with the branch computed in full."""
    mask = float(coin(p, generator=source)) if mode == "batch" else sample_mask(x, p, generator=source)
    return x + branch(x) * mask / (1 - p)


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9, torch.tensor(0.3)])
def test_value_and_gradients_are_those_of_the_formula(mode, p):
    branch = Counting()
    for seed in range(8):
        results = []
        for run in (stochastic_depth, None):
            x = random(9, 6).requires_grad_()
            branch.zero_grad()
            if run:
                y = run(x, branch, p, mode=mode, generator=generator(seed))
            else:
                y = reference(x, branch, float(p), mode, generator(seed))
            (y * random(9, 6, seed=2)).sum().backward()
            grads = [torch.zeros_like(w) if w.grad is None else w.grad for w in branch.parameters()]
            results.append([y.detach(), x.grad, *grads])
        torch.testing.assert_close(*results)


@pytest.mark.parametrize("mode", MODES)
def test_the_branch_is_not_called_for_what_is_dropped(mode):
    branch, x = Counting(), random(5, 6)
    for seed in range(200):
        branch.rows.clear()
        y = stochastic_depth(x, branch, 0.6, mode=mode, generator=generator(seed))
        if mode == "batch":
            survivors = 5 if coin(0.6, generator=generator(seed)) else 0
        else:
            survivors = int(sample_mask(x, 0.6, generator=generator(seed)).sum())
        assert branch.rows == ([survivors] if survivors else [])
        assert int((y != x).any(1).sum()) == survivors
        assert (y is x) == (survivors == 0)


@pytest.mark.parametrize("mode", MODES)
def test_number_of_calls_over_seeds(mode):
    """Blocks called a pass (rows a pass) have the mean and the variance of independent coins."""
    rates, rows, passes = linear_depth(10, 0.8), 4, 400
    branches = [Counting() for _ in rates]
    net = nn.Sequential(*[StochasticDepth(branch, p, mode) for branch, p in zip(branches, rates, strict=True)])
    x, counts = random(rows, 6), []
    torch.manual_seed(0)
    with torch.no_grad():
        for _ in range(passes):
            net(x)
            counts.append(sum(sum(branch.rows) for branch in branches) / rows)
            for branch in branches:
                branch.rows.clear()
    coins = 1 if mode == "batch" else rows
    deviation = math.sqrt(sum(p * (1 - p) for p in rates) / coins)
    counts = torch.tensor(counts, dtype=torch.float64)
    assert abs(counts.mean().item() - expected_depth(rates)) < LIMIT * deviation / math.sqrt(passes)
    # A sum of coins is nearly normal: the standard error of its variance is that of a normal one.
    assert abs(counts.var().item() / deviation**2 - 1) < LIMIT * math.sqrt(2 / passes)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("p", [0.2, 0.7])
def test_expectation_is_that_of_evaluation(mode, p):
    branch, x, draws = Counting(), random(3, 6), 3000
    source, total = generator(), torch.zeros(3, 6, dtype=torch.float64)
    with torch.no_grad():
        for _ in range(draws):
            total += stochastic_depth(x, branch, p, mode=mode, generator=source)
        f = branch(x)
        error = (f.abs() * math.sqrt(p / (1 - p) / draws)).clamp(min=1e-12)
        assert bool(((total / draws - stochastic_depth(x, branch, p, False, mode)).abs() < LIMIT * error).all())


def test_drop_path_is_its_formula():
    y = random(50, 3, 4, 4)
    mask = sample_mask(y, 0.3, generator=generator())
    torch.testing.assert_close(drop_path(y, 0.3, generator=generator()), y * mask / 0.7)
    assert 0 < int(mask.sum()) < 50
    assert drop_path(y, 0.3, False) is y and drop_path(y, 0.0) is y
    assert DropPath(0.3).eval()(y) is y


def test_by_sample_and_drop_path_agree():
    """One draws the same coins as the other; the only difference is what is computed."""
    branch, x = Counting(), random(16, 6)
    skipped = stochastic_depth(x, branch, 0.5, mode="sample", generator=generator())
    torch.testing.assert_close(skipped, x + drop_path(branch(x), 0.5, generator=generator()))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("training", [True, False])
def test_extreme_rates(mode, training):
    branch, x = Counting(), random(5, 6).requires_grad_()
    torch.testing.assert_close(stochastic_depth(x, branch, 0.0, training, mode), x + branch(x))
    branch.rows.clear()
    y = stochastic_depth(x, branch, 1.0, training, mode)
    if training:
        assert y is x and branch.rows == []
        return
    torch.testing.assert_close(y, x + branch(x))


def test_drop_path_at_rate_one_has_a_zero_gradient():
    y = torch.full((4, 3), math.inf, requires_grad=True)
    out = drop_path(y, 1.0)
    out.sum().backward()
    assert bool((out == 0).all()) and bool((y.grad == 0).all())


@pytest.mark.parametrize("mode", MODES)
def test_a_dropped_branch_has_no_gradient(mode):
    x = random(4, 6).requires_grad_()
    block = StochasticDepth(Counting(), 1.0, mode)
    block(x).sum().backward()
    assert all(w.grad is None for w in block.parameters()) and bool((x.grad == 1).all())


def test_a_fixed_number_of_survivors_would_not_be_the_rate():
    """DINOv2 keeps max(int(B (1-p)), 1) rows: of 4 at p = 0.3 always 2, a rate of 0.5, and never none."""
    x, branch, passes = random(4, 6), Counting(), 2000
    source, kept = generator(), []
    for _ in range(passes):
        branch.rows.clear()
        stochastic_depth(x, branch, 0.3, mode="sample", generator=source)
        kept.append(sum(branch.rows))
    share = sum(kept) / (4 * passes)
    assert abs(share - 0.7) < LIMIT * math.sqrt(0.21 / (4 * passes))
    for survivors in range(5):  # binomial: 0.8 % of the passes keep none
        expected = math.comb(4, survivors) * 0.7**survivors * 0.3 ** (4 - survivors)
        error = math.sqrt(expected * (1 - expected) / passes)
        assert abs(kept.count(survivors) / passes - expected) < LIMIT * error
    assert max(int(4 * 0.7), 1) / 4 == 0.5  # the mistaken form


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("mode", MODES)
def test_scale_is_exact_in_every_dtype(mode, dtype):
    """1 / 0.7 rounded to bfloat16 would be off by 0.08 %, to the same side in every element."""
    x, y = torch.zeros(40, 300, dtype=dtype), random(40, 300, dtype=dtype)
    out = stochastic_depth(x, lambda rows: y[: len(rows)], 0.3, mode=mode, generator=generator(2))
    assert out.dtype == dtype and bool((out != 0).any())
    kept = out[(out != 0).any(1)]
    wide = torch.promote_types(dtype, torch.float32)
    torch.testing.assert_close(
        kept, (y[: len(kept)].to(wide) / 0.7).to(dtype), rtol=3e-7 if dtype == wide else 0, atol=0
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(6, 4, 5, 5), (6, 4, 3, 3, 3)])
def test_channels_last_is_kept_inside_and_outside(mode, shape):
    last = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    x, seen = random(*shape).to(memory_format=last), []

    def branch(rows):
        seen.append(rows.is_contiguous(memory_format=last) and not rows.is_contiguous())
        return rows * 2

    for seed in range(6):
        y = stochastic_depth(x, branch, 0.4, mode=mode, generator=generator(seed))
        assert y.is_contiguous(memory_format=last)
        torch.testing.assert_close(y, reference(x, lambda x: 2 * x, 0.4, mode, generator(seed)))
    assert seen and all(seen)


def test_batch_normalisation_sees_the_survivors_only():
    x = random(8, 6)
    norm = nn.BatchNorm1d(6, dtype=torch.float64, momentum=1.0)
    mask = sample_mask(x, 0.5, generator=generator()).squeeze(1).bool()
    stochastic_depth(x, norm, 0.5, mode="sample", generator=generator())
    torch.testing.assert_close(norm.running_mean, x[mask].mean(0))


@pytest.mark.parametrize("shape", [(0, 6), (1, 6), (3, 0)])
@pytest.mark.parametrize("mode", MODES)
def test_empty_and_single(mode, shape):
    for seed in range(4):
        x = torch.ones(shape)
        y = stochastic_depth(x, lambda x: x, 0.5, mode=mode, generator=generator(seed))
        assert y.shape == x.shape
        assert drop_path(x, 0.5, generator=generator(seed)).shape == x.shape


def test_a_batch_needs_no_dimensions():
    x = torch.tensor(2.0)
    assert {float(stochastic_depth(x, lambda x: x, 0.5, generator=generator(s))) for s in range(9)} == {2.0, 6.0}


# --- arguments --------------------------------------------------------------------------------------------------------


def wrong_shape(x):
    return x[..., :1]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("training", [True, False])
def test_a_wrong_branch_is_named(mode, training):
    """A branch of one column would broadcast, and a wider dtype would spread, without a word."""
    x = torch.ones(4, 6)

    def call(branch):
        for seed in range(4):  # one of them keeps something
            stochastic_depth(x, branch, 0.5, training, mode, generator=generator(seed))

    with pytest.raises(ValueError, match=r"^branch must return the shape of its input, \(\d, 6\), got \(\d, 1\)"):
        call(wrong_shape)
    with pytest.raises(
        TypeError, match=r"^branch must return the dtype of its input, torch\.float32, got torch\.float64"
    ):
        call(torch.Tensor.double)
    with pytest.raises(TypeError, match=r"^the output of branch must be a Tensor, got tuple"):
        call(lambda x: (x, x))
    with pytest.raises(TypeError, match=r"^the output of branch must be a floating-point tensor, got torch\.int64"):
        call(torch.Tensor.long)


@pytest.mark.parametrize("training", [True, False])
def test_wrong_arguments_are_named(training):
    x = torch.ones(4, 6)
    for p in (1.3, -0.1, math.nan):
        for call in (lambda p: stochastic_depth(x, torch.relu, p, training), lambda p: drop_path(x, p, training)):
            with pytest.raises(ValueError, match=rf"^p must be in \[0, 1\], got {p}"):
                call(p)
    with pytest.raises(ValueError, match=r"^p must be a number or a tensor without dimensions, got the shape \(4, 1\)"):
        stochastic_depth(x, torch.relu, torch.full((4, 1), 0.5), training)
    with pytest.raises(ValueError, match=r"^p must be a number or a tensor without dimensions, got the shape \(1,\)$"):
        stochastic_depth(x, torch.relu, torch.full((1,), 0.5), training)
    with pytest.raises(ValueError, match=r"^mode must be 'batch' or 'sample', got 'row'"):
        stochastic_depth(x, torch.relu, 0.5, training, "row")
    with pytest.raises(TypeError, match=r"^branch must be callable, got Tensor"):
        stochastic_depth(x, x, 0.5, training)
    with pytest.raises(TypeError, match=r"^x must be a floating-point tensor, got torch\.int64"):
        stochastic_depth(x.long(), torch.relu, 0.5, training)
    with pytest.raises(TypeError, match=r"^y must be a floating-point tensor, got torch\.int64"):
        drop_path(x.long(), 0.5, training)


def test_wrong_arguments_of_the_module_are_named():
    for make, error, message in (
        (lambda: StochasticDepth(nn.ReLU(), 1.3), ValueError, r"^p must be in \[0, 1\], got 1.3"),
        (lambda: StochasticDepth(nn.ReLU(), 0.5, "row"), ValueError, r"^mode must be 'batch' or 'sample', got 'row'"),
        (lambda: StochasticDepth(0.5, nn.ReLU()), TypeError, r"^p must be"),
        (lambda: StochasticDepth(0.5), TypeError, r"^branch must be callable, got float"),
        (lambda: StochasticDepth(nn.ReLU(), seed=1.5), TypeError, r"^seed must be an int or None, got float"),
        (
            lambda: StochasticDepth(nn.ReLU(), 0.5, "sample")(torch.tensor(1.0)),
            ValueError,
            r"^x must have the shape \(N, \*\) with 1 or more dimensions, got a scalar$",
        ),
        (lambda: drop_path(torch.tensor(1.0), 0.5), ValueError, r"^y must have the shape"),
        (lambda: StochasticDepth(nn.ReLU(), 0.5)(torch.arange(3)), TypeError, r"^x must be a floating-point tensor"),
    ):
        with pytest.raises(error, match=message):
            make()


def test_a_sample_may_be_one_number():
    x = torch.ones(50)
    assert set(drop_path(x, 0.5, generator=generator()).tolist()) == {0.0, 2.0}
    torch.manual_seed(0)
    y = stochastic_depth(x, torch.relu, 0.5, mode="sample")
    assert set(y.tolist()) == {1.0, 3.0}
    assert {float(stochastic_depth(x[:1], torch.relu, 0.5, mode="sample")) for _ in range(50)} == {1.0, 3.0}
    torch.manual_seed(0)
    with torch.device("meta"):  # as a default for new tensors, it does not concern the input's
        assert torch.equal(stochastic_depth(x, torch.relu, 0.5, mode="sample"), y)


# --- modules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_module_is_its_function(mode):
    block, x = StochasticDepth(Counting(), 0.4, mode), random(9, 6)
    for seed in range(5):
        torch.manual_seed(seed)
        y = block(x)
        torch.manual_seed(seed)
        assert torch.equal(y, stochastic_depth(x, block.branch, 0.4, mode=mode))
    torch.testing.assert_close(block.eval()(x), x + block.branch(x))
    assert block.extra_repr() == f"p=0.4, mode='{mode}'"
    assert StochasticDepth(Counting(), 0.4, mode, seed=3).extra_repr() == f"p=0.4, mode='{mode}', seed=3"
    assert set(block.state_dict()) == {"branch.linear.weight", "branch.linear.bias"}  # nothing of its own


def test_a_scheduled_rate():
    block, x = StochasticDepth(Counting(), Ramp(0.0, 1.0, 2)), random(9, 6)
    torch.testing.assert_close(block(x), x + block.branch(x))
    advance(block)
    assert {tuple(block(x)[0].tolist()) == tuple(x[0].tolist()) for _ in range(30)} == {True, False}
    advance(block)
    assert block(x) is x


# --- coins of a seed --------------------------------------------------------------------------------------------------


def gates(block, x, passes=40):
    return [block(x) is not x for _ in range(passes)]


def test_a_seed_gives_the_coins_whatever_the_global_state():
    x = random(3, 6)
    results = []
    for state in (0, 1):
        torch.manual_seed(state)
        results.append(gates(StochasticDepth(Counting(), 0.5, seed=7), x))
    assert results[0] == results[1] and 5 < sum(results[0]) < 35
    assert gates(StochasticDepth(Counting(), 0.5, seed=8), x) != results[0]
    block = StochasticDepth(Counting(), 0.5, seed=7)
    block.eval()(x)
    block.train()
    assert gates(block, x) == results[0]  # evaluation does not count
    block.reseed(7)
    assert gates(block, x) == results[0]


def test_coins_of_seeds_are_independent():
    """Neighbouring seeds and neighbouring passes: rates, and the products of neighbours."""
    p, x = 0.3, random(1, 6)
    kept = torch.tensor([gates(StochasticDepth(Counting(), p, seed=s), x, 100) for s in range(60)]).double() - 0.7
    n = kept.numel()
    assert abs(kept.mean().item()) < LIMIT * math.sqrt(0.21 / n)
    for products in (kept[1:] * kept[:-1], kept[:, 1:] * kept[:, :-1]):
        assert abs(products.mean().item()) < LIMIT * 0.21 / math.sqrt(products.numel())


def test_the_count_of_passes_is_saved():
    x, block = random(3, 6), StochasticDepth(Counting(), 0.5, seed=7)
    whole = gates(StochasticDepth(block.branch, 0.5, seed=7), x, 60)
    assert gates(block, x, 20) == whole[:20]
    stream = io.BytesIO()
    torch.save(block.state_dict(), stream)
    stream.seek(0)
    state = torch.load(stream)
    assert int(state["step"]) == 20
    resumed = StochasticDepth(Counting(), 0.5, seed=7)
    gates(resumed, x, 3)
    resumed.load_state_dict(state)
    for twin in (resumed, copy.deepcopy(block), pickle.loads(pickle.dumps(block))):
        assert gates(twin, x) == whole[20:]
    assert gates(block.half().double(), x) == whole[20:] and int(block.step) == 60


def test_seeds_of_a_whole_model():
    blocks = [StochasticDepth(Counting(), 0.5) for _ in range(3)]
    rows = StochasticDepth(Counting(), 0.5, "sample")
    model = nn.Sequential(*blocks, rows)
    assert seed_gates(model, 0) == 3 and rows.seed is None
    first = [gates(block, random(3, 6)) for block in blocks]
    assert len({tuple(g) for g in first}) == 3  # each block its own coins
    seed_gates(model, 0)
    assert [gates(block, random(3, 6)) for block in blocks] == first
    seed_gates(model, 1)
    assert [gates(block, random(3, 6)) for block in blocks] != first


# --- what torch puts around a layer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("mode", MODES)
def test_activation_checkpointing_repeats_the_coin(mode, seed, reentrant):
    """Two passes before one backward pass; with a seed, the repeated computation must not count as a pass."""
    torch.manual_seed(0)
    net = nn.Sequential(*[StochasticDepth(Counting(), 0.5, mode, seed=seed and seed + i) for i in range(6)])
    results = []
    for checkpointed in (False, True):
        twin = copy.deepcopy(net)
        run = (lambda x: checkpoint(twin, x, use_reentrant=reentrant)) if checkpointed else twin  # noqa: B023
        torch.manual_seed(1)
        x = random(5, 6).requires_grad_()
        for _ in range(3):
            first, second = run(x), run(x * 2)
            (first.sum() + 3 * second.square().sum()).backward()
        steps = [block.step if seed is None else int(block.step) for block in twin]
        assert steps == [None if seed is None else 6] * 6
        grads = [torch.zeros(()) if w.grad is None else w.grad for w in twin.parameters()]
        results.append([x.grad, *grads])
    torch.testing.assert_close(*results)
    assert bool((results[0][0] != 0).any())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("training", [True, False])
def test_autocast(mode, training):
    """Layers make bfloat16 of what they are given; the shortcut keeps its own dtype, dropped or not."""
    branch = nn.Linear(6, 6)
    for dtype in (torch.float32, torch.bfloat16):
        for seed in range(4):
            x = random(5, 6, dtype=dtype).requires_grad_()
            with torch.autocast("cpu", dtype=torch.bfloat16):
                y = stochastic_depth(x, branch, 0.5, training, mode, generator=generator(seed))
                wide = stochastic_depth(x, lambda x: branch(x).float(), 0.5, training, mode, generator=generator(seed))
            assert y.dtype == wide.dtype == dtype
            f = branch(x.float())
            expected = reference(x, lambda x: f, 0.5, mode, generator(seed)) if training else x + f  # noqa: B023
            torch.testing.assert_close(y.float(), expected.float(), rtol=2e-2, atol=2e-2)
            torch.testing.assert_close(wide.float(), expected.float(), rtol=2e-2, atol=2e-2)
            y.float().sum().backward()
            assert bool(x.grad.isfinite().all())


@pytest.mark.parametrize("mode", MODES)
def test_gradcheck_and_functional_gradient(mode):
    branch, x = Counting(), random(4, 6).requires_grad_()
    fixed = lambda x: stochastic_depth(x, branch, 0.4, mode=mode, generator=generator(2))  # noqa: E731
    assert fixed(x) is not x
    assert torch.autograd.gradcheck(fixed, (x,)) and torch.autograd.gradgradcheck(fixed, (x,))
    y = torch.func.grad(lambda x: fixed(x).sum())(x.detach())
    torch.testing.assert_close(y, torch.autograd.grad(fixed(x).sum(), x)[0])


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(6, 8), nn.Linear(8, 6)

    def forward(self, x):
        return self.outer(torch.relu(self.inner(x)))


class Net(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.blocks, self.head = nn.ModuleList(blocks), nn.Linear(6, 6)

    def forward(self, x):
        x = self.head(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", [None, 3])
def test_compiled_with_breaks_equals_eager(mode, seed):
    torch._dynamo.reset()
    compiled = []

    def backend(graph, _):
        compiled.append(graph)
        return graph.forward

    torch.manual_seed(0)
    ramp = Ramp(0.1, 0.4, 8)
    net = Net([StochasticDepth(Branch(), p, mode, seed=seed and seed + i) for i, p in enumerate((0.2, 0.5, ramp, 0.7))])
    twin = copy.deepcopy(net)
    fast = torch.compile(twin, backend=backend)
    x = random(5, 6, dtype=torch.float32)
    for step in range(10):
        results = []
        for run in (net, fast):
            torch.manual_seed(step)
            run.zero_grad()
            y = run(x)
            y.sum().backward()
            results.append([y.detach(), *[torch.zeros(()) if w.grad is None else w.grad for w in run.parameters()]])
        torch.testing.assert_close(*results)
        advance(net), advance(twin)
    # The branches are compiled, and once for all blocks (by sample: once more for other numbers of rows).
    assert 1 <= len(compiled) <= (2 if mode == "batch" else 5)
    assert any("relu" in str(node.target) for graph in compiled for node in graph.graph.nodes)


def test_what_the_compiler_is_told():
    torch._dynamo.reset()
    net, x = Net([StochasticDepth(Branch(), 0.5), StochasticDepth(Branch(), 0.5, "sample")]), torch.ones(5, 6)
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(net, fullgraph=True, backend="eager")(x)
    net.eval()
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(net, fullgraph=True, backend="eager")(x), net(x))


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_drop_path_is_one_graph(backend):
    torch._dynamo.reset()
    layer = DropPath(0.4)
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    results = []
    for run in (layer, compiled):
        torch.manual_seed(0)
        y = random(30, 4).requires_grad_()
        out = run(y)
        out.square().sum().backward()
        results.append((out.detach(), y.grad))
    torch.testing.assert_close(*results)


# --- several ranks ----------------------------------------------------------------------------------------------------


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.dropout = nn.Linear(8, 8), Dropout(0.5)

    def forward(self, x):
        return self.dropout(torch.tanh(self.linear(x)))


def work(rank, store, results):
    torch.set_num_threads(1)
    timeout = datetime.timedelta(seconds=60)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2, timeout=timeout)
    torch.manual_seed(5)
    unseeded = StochasticDepth(nn.Linear(8, 8), 0.5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        unseeded(torch.ones(2, 8)), unseeded(torch.ones(2, 8))
        StochasticDepth(nn.Linear(8, 8), 0.5, "sample")(torch.ones(2, 8))
        StochasticDepth(nn.Linear(8, 8), 0.5, seed=0)(torch.ones(2, 8))
    told = [str(w.message) for w in caught if "seed_gates" in str(w.message)]
    net = nn.Sequential(*[StochasticDepth(Residual(), p) for p in linear_depth(6, 0.8)], nn.Linear(8, 1))
    seed_gates(net, 0)
    wrapped = DistributedDataParallel(net, find_unused_parameters=True)
    optimizer = torch.optim.SGD(wrapped.parameters(), 0.05)
    torch.manual_seed(rank)  # from here on, what is random differs between the ranks
    called = []
    for block in net[:-1]:
        block.branch.register_forward_hook(lambda *_, block=block: called.append(id(block)))
    numbers = {id(block): i for i, block in enumerate(net)}
    history, losses = [], []
    for _ in range(12):
        x = torch.randn(16, 8)
        loss = F.mse_loss(wrapped(x), x.sum(1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        history.append([numbers[i] for i in called])
        called.clear()
    mask = (Dropout(0.5)(torch.ones(100)) == 0).tolist()
    weights = torch.cat([w.detach().flatten() for w in net.parameters()]).tolist()
    torch.save({"gates": history, "mask": mask, "weights": weights, "told": told, "losses": losses}, results[rank])
    dist.destroy_process_group()


@pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="torch has no gloo here")
def test_two_ranks_throw_the_same_coins_but_drop_different_units(tmp_path):
    files = [str(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    torch.multiprocessing.spawn(work, (str(tmp_path / "store"), files), nprocs=2)
    first, second = (torch.load(file) for file in files)
    assert first["gates"] == second["gates"]
    assert len({tuple(blocks) for blocks in first["gates"]}) > 3  # the coins change from pass to pass
    assert first["mask"] != second["mask"]
    assert first["weights"] == second["weights"] and all(map(math.isfinite, first["losses"]))
    assert first["losses"] != second["losses"]
    for rank in (first, second):
        assert len(rank["told"]) == 1 and "same seed on every rank" in rank["told"][0]


def test_one_process_is_told_nothing():
    module._warn_of_ranks.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        StochasticDepth(nn.Linear(6, 6), 0.5)(torch.ones(3, 6))
