"""What the papers report: their headline numbers, and which of the differences exceed the noise of their test sets.

The numbers stand in ``papers.toml``, each with its table, what was controlled, and how it was read.
"""

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Reported", "reported", "standard_error", "z_of_errors"]

SHARED = ("network", "task")
READ = ("paper", "copies", "memory")


def standard_error(before: float, after: float, n: int) -> float:
    r"""Standard error of the difference of two error rates in points, each measured on n test examples.

    .. math:: 100 \sqrt{e_1 (1 - e_1) / n + e_2 (1 - e_2) / n}

    As if the two tests were independent, which is cautious where the test examples are the same; it says nothing about
    other seeds of the training.

    Args:
        before, after: error rates in percent, from 0 to 100.
        n: number of test examples, at least 1.

    Raises:
        ValueError: naming the argument.
    """
    for argument, value in (("before", before), ("after", after)):
        if not 0 <= value <= 100:
            raise ValueError(f"{argument} must be a percentage in [0, 100], got {value}")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    return math.sqrt((before * (100 - before) + after * (100 - after)) / n)


def z_of_errors(before: float, after: float, n: int) -> float:
    r"""How many standard errors lie between two error rates, each measured on n test examples.

    .. math:: z = \frac{e_1 - e_2}{\sqrt{e_1 (1 - e_1) / n + e_2 (1 - e_2) / n}}

    Args:
        before, after: error rates in percent, from 0 to 100, not both 0 or 100.
        n: number of test examples; see :func:`standard_error`.

    Raises:
        ValueError: naming the argument.
    """
    error = standard_error(before, after, n)
    if not error:
        raise ValueError(f"before and after must not both be 0 or 100, got {before} and {after}")
    return (before - after) / error


@dataclass(frozen=True)
class Reported:
    """One comparison that a paper reports.

    Args:
        paper: key of the bibliography.
        where: table or section.
        data: data set and network.
        what: what the second number has and the first has not.
        metric: unit of the numbers, for example "error %".
        before, after: the numbers, without and with it.
        same: what the two share: the "network", or only the "task".
        read: how the numbers were read: "paper", "copies" or "memory".
        n: number of test examples, where the metric is a share of them.
        famous: whether chapter 15 looks at the difference.
    """

    paper: str
    where: str
    data: str
    what: str
    metric: str
    before: float
    after: float
    same: str
    read: str
    n: int | None = None
    famous: bool = False

    def __post_init__(self) -> None:
        if self.same not in SHARED:
            raise ValueError(f"same must be one of {SHARED}, got {self.same!r}")
        if self.read not in READ:
            raise ValueError(f"read must be one of {READ}, got {self.read!r}")

    @property
    def z(self) -> float | None:
        """Standard errors between the numbers, positive if the second is the better one; None without ``n``."""
        if self.n is None:
            return None
        z = z_of_errors(self.before, self.after, self.n)
        return -z if self.metric == "accuracy %" else z


@cache
def reported() -> tuple[Reported, ...]:
    """All comparisons, in the order of the page."""
    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return tuple(Reported(**row) for row in tomllib.loads(text)["row"])
