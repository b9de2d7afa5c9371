"""How time is taken: interleaved samples of one thread, and ratios within a round.

A machine that does something else at the same time slows whatever runs at that moment. So the ways of doing the same
work take turns, in a round each runs once, the order is reversed from round to round, and what is reported is the
median over rounds of the ratio *within* a round. On the CPU the clock counts only the time that this thread was given;
on a GPU it is the device's own, between two events of its stream.
"""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Clock", "Spread", "interleaved", "keep_memory", "kept_for_backward", "nanoseconds_of_bernoulli", "ratio"]

Way = Callable[[], object]


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """The spread of two or more values."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


class Clock:
    """Seconds that repetitions of a call take on a device.

    Args:
        device: ``"cpu"`` counts the CPU time of this thread, ``"cuda"`` the time between two events of the stream,
            in which a GPU that waits for the host counts too.
    """

    def __init__(self, device: torch.device | str) -> None:
        self.device = torch.device(device)
        self.name = "thread CPU time" if self.device.type == "cpu" else "CUDA events"

    def __call__(self, way: Way, repetitions: int) -> float:
        if self.device.type == "cpu":
            start = time.thread_time_ns()
            for _ in range(repetitions):
                way()
            return (time.thread_time_ns() - start) * 1e-9
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(self.device)
        start.record()
        for _ in range(repetitions):
            way()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) * 1e-3


def keep_memory() -> bool:
    """Lets this process keep the memory that tensors give back; returns whether the C library can be told so.

    Else the library returns large blocks to the kernel and gets them anew, page by page, for each output: that costs
    ten times what the layers do, and whether it happens is luck of the heap.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    never_trim, no_mmap = mallopt(-1, -1), mallopt(-4, 0)  # M_TRIM_THRESHOLD, M_MMAP_MAX of glibc
    return bool(never_trim and no_mmap)


def interleaved(ways: Mapping[str, Way], *, clock: Clock, rounds: int, least: float) -> dict[str, list[float]]:
    """Seconds a call of each way, one number a round.

    Args:
        ways: what to time, by name.
        clock: what counts the seconds.
        rounds: number of rounds, at least 2.
        least: each sample repeats its call until it lasts about this many seconds at least.
    """
    if rounds < 2:
        raise ValueError(f"rounds must be at least 2, got {rounds}")
    repetitions = {}
    for name, way in ways.items():
        clock(way, 1)  # the first call makes what later calls find
        repetitions[name] = 1
        while (seconds := clock(way, repetitions[name])) < least:
            # Towards the length that is wanted, but never far beyond what was seen.
            repetitions[name] = max(2 * repetitions[name], min(10 * repetitions[name], round(least / (seconds + 1e-9))))
    samples: dict[str, list[float]] = {name: [] for name in ways}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for round_ in range(rounds):
            for name in list(ways)[:: 1 if round_ % 2 == 0 else -1]:
                samples[name].append(clock(ways[name], repetitions[name]) / repetitions[name])
    finally:
        if collecting:
            gc.enable()
    return samples


def ratio(ours: list[float], theirs: list[float]) -> Spread:
    """The ratio ours / theirs, taken within each round."""
    return Spread.of([a / b for a, b in zip(ours, theirs, strict=True)])


def kept_for_backward(way: Callable[[], Tensor]) -> int:
    """Bytes that autograd keeps of one forward pass for its backward pass, each memory counted once."""
    kept: dict[int, int] = {}
    alive = []  # memory that is given back could be handed out, and counted, again

    def pack(tensor: Tensor) -> Tensor:
        alive.append(tensor)
        memory = tensor.untyped_storage()
        kept[memory.data_ptr()] = memory.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        alive.append(way())
    return sum(kept.values())


def nanoseconds_of_bernoulli(p: float, clock: Clock, *, rounds: int, least: float) -> float:
    """Cost of one element of torch's own ``bernoulli_(1 - p)`` in nanoseconds."""
    x = torch.empty(1 << 18, device=clock.device)
    samples = interleaved({"bernoulli_": lambda: x.bernoulli_(1 - p)}, clock=clock, rounds=rounds, least=least)
    return statistics.median(samples["bernoulli_"]) / x.numel() * 1e9
