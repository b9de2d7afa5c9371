r"""Chapter 07: how much of a deep network is left, what that saves, and whether the schedule over depth matters.

Signs predicted before running. The number of blocks that survive has the mean and the spread of independent coins.
Time falls with the share of blocks that are computed, if a dropped block is not computed: with a coin for the whole
batch; with a coin for each sample and a mask nothing is saved; with the surviving rows gathered, something in between.
On wrong labels stochastic depth gains accuracy. The usual tutorials call the linear rule the right schedule: at equal
expected depth it should beat a constant rate. They also say that a thousand layers would fail without it: those should
learn, because the shortcut is there with or without coins.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from companion.data import digits
from companion.experiments.protocol import Record, make_record, scores
from companion.layers.stochastic_depth import DropPath, StochasticDepth
from companion.models import StackedResidualMLP
from companion.schedules import constant_depth, expected_depth, linear_depth
from companion.training import cosine_adam, evaluate, train

__all__ = [
    "EXPERIMENTS",
    "Counted",
    "accuracies",
    "computed_blocks",
    "computed_rows",
    "time_ratios",
    "very_deep",
    "wide_time_ratios",
]


# --- what is computed -------------------------------------------------------------------------------------------------


class Counted(nn.Module):
    """A branch that counts how often it is called, and on how many rows."""

    def __init__(self, branch: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.branch, self.calls, self.rows = branch, 0, 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.rows += len(x)
        return self.branch(x)


def _stack(rates: Sequence[float], mode: str) -> tuple[nn.Sequential, list[Counted]]:
    counted = [Counted(lambda x: x) for _ in rates]
    blocks = (StochasticDepth(branch, p, mode) for branch, p in zip(counted, rates, strict=True))
    return nn.Sequential(*blocks).train(), counted


def computed_blocks(rates: Sequence[float], passes: int, seed: int = 0) -> Tensor:
    """How many branches are called in each of so many training passes: Tensor[passes] of ``torch.int64``.

    Args:
        rates: probability of dropping each block, first block first.
        passes: number of passes, each with fresh coins for the whole batch.
        seed: seed of the coins.
    """
    net, counted = _stack(rates, "batch")
    x, depths = torch.zeros(1, 1), []
    with torch.random.fork_rng([]), torch.no_grad():
        torch.manual_seed(seed)
        for _ in range(passes):
            before = sum(branch.calls for branch in counted)
            net(x)
            depths.append(sum(branch.calls for branch in counted) - before)
    return torch.tensor(depths)


def computed_rows(rates: Sequence[float], batch: int, seed: int = 0) -> tuple[int, int]:
    """Rows that the branches see in one training pass with a coin for each sample, and branches called at all.

    Args:
        rates: probability of dropping each block, first block first.
        batch: number of samples.
        seed: seed of the coins.
    """
    net, counted = _stack(rates, "sample")
    with torch.random.fork_rng([]), torch.no_grad():
        torch.manual_seed(seed)
        net(torch.zeros(batch, 1))
    return sum(branch.rows for branch in counted), sum(branch.calls > 0 for branch in counted)


class _Masked(nn.Module):
    """A residual block whose branch is computed and then multiplied by a coin for each sample."""

    def __init__(self, branch: nn.Module, p: float) -> None:
        super().__init__()
        self.branch, self.drop = branch, DropPath(p)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop(self.branch(x))


def time_ratios(
    depth: int = 24, width: int = 256, batch: int = 64, p_last: float = 0.5, rounds: int = 10, steps: int = 8
) -> Record:
    """Time of training steps over that of the same network without stochastic depth, in interleaved rounds.

    Predicted: the share of the blocks that survive for a coin a batch, 1 for a mask a sample, in between for gathered
    rows. The ratios depend on the machine, so no test compares them: a chapter shows the stored record.
    """
    started = time.perf_counter()
    rates = linear_depth(depth, p_last)

    def branch() -> nn.Module:
        return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        branches = [branch() for _ in rates]
        kinds = {
            "no stochastic depth": [StochasticDepth(f, 0.0) for f in branches],
            "a coin a batch": [StochasticDepth(f, p) for f, p in zip(branches, rates, strict=True)],
            "a coin a sample, masked": [_Masked(f, p) for f, p in zip(branches, rates, strict=True)],
            "a coin a sample, gathered": [
                StochasticDepth(f, p, "sample") for f, p in zip(branches, rates, strict=True)
            ],
        }
        nets = {kind: nn.Sequential(*blocks).train() for kind, blocks in kinds.items()}
        optimizer = torch.optim.SGD(nets["no stochastic depth"].parameters(), lr=1e-4)  # the branches are shared
        x = torch.randn(batch, width)
        seconds: dict[str, list[float]] = {kind: [] for kind in nets}
        for round_ in range(rounds + 1):  # the first one warms up
            for kind in list(nets)[:: 1 if round_ % 2 else -1]:
                begin = time.thread_time()
                for _ in range(steps):
                    optimizer.zero_grad(set_to_none=True)
                    y = nets[kind](x)
                    if y.requires_grad:  # not if every block was dropped
                        y.square().mean().backward()
                    optimizer.step()
                seconds[kind].append(time.thread_time() - begin)
    full = seconds["no stochastic depth"]
    ratios = {kind: [a / b for a, b in zip(taken[1:], full[1:], strict=True)] for kind, taken in seconds.items()}
    return make_record(
        "depth-time",
        started=started,
        task=f"{depth} blocks of width {width}, batches of {batch}, one thread; {expected_depth(rates):g} expected",
        arms=tuple(nets),
        seeds=tuple(range(rounds)),
        budget={"steps": steps, "rounds": rounds},
        metrics={"time / full": ratios},
    )


def wide_time_ratios() -> Record:
    """:func:`time_ratios` for few wide blocks and large batches: most of the time is spent in the branches."""
    return replace(time_ratios(depth=12, width=1024, batch=256, rounds=6, steps=2), name="depth-time-wide")


# --- accuracy ---------------------------------------------------------------------------------------------------------


def accuracies(seeds: Sequence[int] = range(8), depth: int = 24, width: int = 32, steps: int = 400) -> Record:
    """Full depth against the linear rule and against a constant rate of the same expected depth.

    Predicted: both gain on wrong labels. The usual tutorials predict that the linear rule gains more.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=300, n_test=800, noise=0.2)
    linear = linear_depth(depth, 0.5)
    constant = constant_depth(depth, 1 - expected_depth(linear) / depth)
    arms = {"full depth": constant_depth(depth, 0.0), "linear": linear, "constant": constant}
    net = StackedResidualMLP(64, width, task.classes, task.seeds, list(arms.values()))
    train(net, task.train, steps=steps, optimizer=cosine_adam(3e-3, steps, 40), progress="schedules over depth")
    return make_record(
        "depth-schedules",
        started=started,
        task=task.name,
        seeds=task.seeds,
        budget={"steps": steps, "batch": 50, "blocks": depth, "width": width},
        **scores(list(arms), evaluate(net, task.test.open())),
    )


def very_deep(seeds: Sequence[int] = range(5), blocks: int = 600, width: int = 16, steps: int = 40) -> Record:
    """A residual network of 1,202 layers without stochastic depth, before and after a short training.

    Predicted: it learns. (Two layers a block, and one at either end.) The loss is recorded and not the accuracy, which
    after so few steps is a matter of the last digits.
    """
    started = time.perf_counter()
    task = digits(seeds, n_train=300, n_test=200, noise=0.2)
    net = StackedResidualMLP(64, width, task.classes, task.seeds, [constant_depth(blocks, 0.0)]).eval()
    test = task.test.open()
    before = evaluate(net, test)["nll"][0]
    train(net, task.train, steps=steps, optimizer=cosine_adam(3e-3, steps, steps // 10), progress="1,202 layers")
    after = evaluate(net, test)["nll"][0]
    return make_record(
        "depth-1202",
        started=started,
        task=task.name,
        arms=("before training", "after training"),
        seeds=task.seeds,
        budget={"steps": steps, "batch": 50, "layers": 2 * blocks + 2, "width": width},
        metrics={"NLL": {"before training": before, "after training": after}},
        units={"NLL": "nats"},
    )


EXPERIMENTS = {
    "depth-schedules": accuracies,
    "depth-time": time_ratios,
    "depth-time-wide": wide_time_ratios,
    "depth-1202": very_deep,
}
