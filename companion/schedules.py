r"""Rates over the depth of a network and over its training.

Over depth: a rate a block, because what an early block computes is used by all later ones. With blocks l = 1, ..., L
three conventions are in use, all called linear, which differ in the first and the last rate:

========================= ========================== ======================= ==============================
function                  rate :math:`p_l`           first and last rate     used by
========================= ========================== ======================= ==============================
:func:`linear_depth`      :math:`p_L\, l / L`        p_L / L and p_L         Huang et al. (2016), eq. 4
:func:`inclusive_depth`   :math:`p_L (l-1) / (L-1)`  0 and p_L               timm, most vision transformers
:func:`exclusive_depth`   :math:`p_L (l-1) / L`      0 and p_L (1 - 1/L)     EfficientNet, torchvision
========================= ========================== ======================= ==============================

Over training: a rate a step (:class:`Ramp`), because a network that has just begun to learn bears less dropout, or
more, than one that has nearly finished.
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from companion.masks import check_p

__all__ = [
    "Ramp",
    "advance",
    "constant_depth",
    "depth_distribution",
    "exclusive_depth",
    "expected_depth",
    "inclusive_depth",
    "linear_depth",
    "rate_at",
]


# --- over depth -------------------------------------------------------------------------------------------------------


def linear_depth(depth: int, p_last: float) -> list[float]:
    r"""Rates that grow in proportion to the depth: the rule of the paper on stochastic depth.

    .. math:: p_l = p_L \, l / L, \qquad l = 1, \dots, L

    Even the first block is dropped sometimes; :math:`(1-p_L/2)\,L - p_L/2` blocks are expected to survive.

    Args:
        depth: number of blocks L, at least 1.
        p_last: rate of the last block, in [0, 1].

    Returns:
        The L rates, first block first.

    Raises:
        TypeError, ValueError: naming the argument.

    Reference: Huang et al. (2016), sec. 3, eq. 4 (there p is the probability of SURVIVING).
    """
    depth, p_last = _check_count(depth, "depth"), _check_number(p_last, "p_last")
    return [p_last * (l / depth) for l in range(1, depth + 1)]


def inclusive_depth(depth: int, p_last: float) -> list[float]:
    r"""Rates evenly spaced from 0 to ``p_last``, both ends included: the rule of timm.

    .. math:: p_l = p_L \, \frac{l-1}{L-1}, \qquad l = 1, \dots, L

    The first block always survives, and so does a single one (L = 1). Args and Raises as :func:`linear_depth`.
    """
    depth, p_last = _check_count(depth, "depth"), _check_number(p_last, "p_last")
    return [p_last * (l / max(depth - 1, 1)) for l in range(depth)]


def exclusive_depth(depth: int, p_last: float) -> list[float]:
    r"""Rates evenly spaced from 0 up to, but not including, ``p_last``: the rule of EfficientNet.

    .. math:: p_l = p_L \, \frac{l-1}{L}, \qquad l = 1, \dots, L

    Args and Raises as :func:`linear_depth`; here ``p_last`` is the rate that a block after the last one would have.
    """
    depth, p_last = _check_count(depth, "depth"), _check_number(p_last, "p_last")
    return [p_last * (l / depth) for l in range(depth)]


def constant_depth(depth: int, p: float) -> list[float]:
    """The same rate for every block, as in CaiT (Touvron et al. 2021). Raises as :func:`linear_depth`."""
    return [_check_number(p, "p")] * _check_count(depth, "depth")


def expected_depth(rates: Iterable[float]) -> float:
    r"""Expected number of blocks that survive, :math:`\sum_l (1 - p_l)`.

    With L = 50 and a last rate of 0.5: 37.25 by :func:`linear_depth`, 37.5 by :func:`inclusive_depth`, 37.75 by
    :func:`exclusive_depth`.
    """
    return math.fsum(1 - _check_number(p, "rates") for p in rates)


def depth_distribution(rates: Iterable[float]) -> list[float]:
    r"""Probability of each number of survivors, 0 to L (Poisson binomial): the blocks' coins are independent.

    Its mean is :func:`expected_depth`, its variance :math:`\sum_l p_l (1 - p_l)`.
    """
    chance = [1.0]
    for p in rates:
        p = _check_number(p, "rates")
        chance = [p * dropped + (1 - p) * kept for dropped, kept in zip([*chance, 0.0], [0.0, *chance], strict=True)]
    return chance


# --- over training ----------------------------------------------------------------------------------------------------

# How much of the way from start to end has been gone, after the share u of the steps, 0 <= u < 1; afterwards all.
_SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda u: u,
    "cosine": lambda u: (1 - math.cos(math.pi * u)) / 2,
    "early": lambda u: 0.0,
    "late": lambda u: 0.0,
}


def rate_at(step: int, start: float, end: float, steps: int, shape: str = "linear") -> float:
    r"""Rate at a step of training: ``start`` at step 0, ``end`` from step ``steps`` on, and in between, with
    :math:`u = t / T`,

    .. math::

        p(t) = \begin{cases}
            \text{start} + (\text{end} - \text{start})\, u & \text{linear} \\
            \text{start} + (\text{end} - \text{start})\, (1 - \cos \pi u) / 2 & \text{cosine} \\
            \text{start} & \text{early, late}
        \end{cases}
        \qquad t < T, \qquad\qquad p(t) = \text{end}, \quad t \ge T

    Early dropout is on before T and off afterwards, so ``start`` > ``end`` (``0.1, 0.0``); late dropout is off before
    T and on afterwards, so ``start`` < ``end`` (``0.0, 0.1``). The jump is the same; the two names say which is meant,
    and a pair of rates that contradicts the name is an error. (Early dropout with a gradual end is ``"linear"``.)

    Args:
        step: number of training steps done, t, at least 0.
        start, end: rates in [0, 1].
        steps: T, the step from which on the rate is ``end``, at least 1.
        shape: ``"linear"``, ``"cosine"``, ``"early"`` or ``"late"``.

    Raises:
        TypeError, ValueError: naming the argument.

    Reference: Liu et al. (2023), "Dropout reduces underfitting", sec. 4 (early and late dropout).
    """
    start, end, steps = _check_ramp(start, end, steps, shape)
    step = _check_count(step, "step", least=0)
    return end if step >= steps else start + (end - start) * _SHAPES[shape](step / steps)


class Ramp(nn.Module):
    r"""A rate that moves during training: give it to a layer in place of a number, and advance it once a step.

    .. code-block:: python

        model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), Dropout(p=Ramp(0.0, 0.5, steps=1000)))
        for x, target in batches:
            ...
            optimizer.step()
            advance(model)

    The rate after t calls of :meth:`advance` is :func:`rate_at`. It lies in a buffer, so a checkpoint
    (``state_dict``) holds it, and a compiled layer reads it anew at each call: one compilation serves all rates.
    Several layers may share one ramp; :func:`advance` then moves it once. For a rate over depth and training both, give
    each block its own: ``[Ramp(0.0, p, steps=1000) for p in linear_depth(50, 0.5)]``.

    The buffers stay on the CPU, in int64 and float64, wherever the model goes: the rate is needed by the host, and
    float16 would round it. (``DistributedDataParallel`` broadcasts buffers, so on GPUs its process group needs a CPU
    backend beside NCCL: ``init_process_group("cpu:gloo,cuda:nccl")``.)

    Args:
        start: rate at step 0, in [0, 1].
        end: rate from step ``steps`` on, in [0, 1].
        steps: number of steps that the ramp takes, at least 1.
        shape: ``"linear"``, ``"cosine"``, ``"early"`` or ``"late"``; see :func:`rate_at`.

    Attributes:
        step: Tensor without dimensions, ``torch.int64``: how often the ramp was advanced.
        p: Tensor without dimensions, ``torch.float64``: the present rate.

    Raises:
        TypeError, ValueError: naming the argument.
    """

    step: Tensor
    p: Tensor

    def __init__(self, start: float, end: float, steps: int, shape: str = "linear") -> None:
        super().__init__()
        self.start, self.end, self.steps = _check_ramp(start, end, steps, shape)
        self.shape = shape
        self.register_buffer("step", torch.tensor(0, dtype=torch.int64, device="cpu"))
        self.register_buffer("p", torch.tensor(self.start, dtype=torch.float64, device="cpu"))

    @torch.no_grad()
    def advance(self) -> None:
        """One step of training is done: moves the rate."""
        self.step += 1
        self.p.fill_(rate_at(int(self.step), self.start, self.end, self.steps, self.shape))

    def _apply(self, fn: Callable, recurse: bool = True) -> "Ramp":
        return self  # .to(), .half(), .cuda() and the like pass through here: the buffers stay where and as they are

    def extra_repr(self) -> str:
        return f"{self.start}, {self.end}, steps={self.steps}, shape={self.shape!r}, step={int(self.step)}"


def advance(model: nn.Module) -> int:
    """Advances every :class:`Ramp` of ``model`` by one step, a shared one once; returns how many there are."""
    ramps = [module for module in model.modules() if isinstance(module, Ramp)]
    for ramp in ramps:
        ramp.advance()
    return len(ramps)


# --- arguments --------------------------------------------------------------------------------------------------------


def _check_number(p: float, name: str) -> float:
    return float(check_p(p, name))


def _check_count(value: int, name: str, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return value


def _check_ramp(start: float, end: float, steps: int, shape: str) -> tuple[float, float, int]:
    if shape not in _SHAPES:
        raise ValueError(f"shape must be one of {', '.join(map(repr, _SHAPES))}, got {shape!r}")
    start, end = _check_number(start, "start"), _check_number(end, "end")
    if shape == "early" and end > start:
        raise ValueError(f"early dropout ends lower than it starts: end must be at most {start}, got {end}")
    if shape == "late" and end < start:
        raise ValueError(f"late dropout ends higher than it starts: end must be at least {start}, got {end}")
    return start, end, _check_count(steps, "steps")
