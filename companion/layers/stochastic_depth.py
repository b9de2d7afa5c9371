r"""Stochastic depth: whole branches of a residual network are dropped, and what is dropped is not computed.

A residual block adds a branch f to its input. With a coin :math:`m \sim \mathrm{Bernoulli}(1-p)`,

.. math:: y = x + \frac{m}{1-p}\, f(x) \text{ in training}, \qquad y = x + f(x) \text{ at evaluation}

so that :math:`\mathbb{E}[y] = x + f(x)` in both modes, as with inverted dropout. (The paper of 2016 does not scale in
training, but multiplies the branch by :math:`1-p` at evaluation. The shortcut x is needed: without it, a dropped block
would pass nothing on.) What one coin decides about:

========== ============================= ===================================== ===============================
mode       one coin for                  not computed when dropped             used by
========== ============================= ===================================== ===============================
"batch"    the whole batch               the branch                            Huang et al. (2016)
"sample"   each sample                   the branch's rows of these samples    vision transformers, ConvNeXt
========== ============================= ===================================== ===============================

:func:`drop_path` is the second for a branch that has been computed already: same distribution, no time saved. (It is
what EfficientNet calls "drop connect"; DropConnect proper drops weights.) Rates by depth: :mod:`companion.schedules`.
"""

import functools
import hashlib
import warnings
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

from companion.layers.base import DropoutModule, apply_mask, check_input, inverse, never_drops, rescale
from companion.masks import bernoulli, check_p, coin, element_mask, sample_mask
from companion.schedules import Ramp

__all__ = ["DropPath", "StochasticDepth", "drop_path", "seed_gates", "stochastic_depth"]


def drop_path(
    y: Tensor, p: float | Tensor = 0.5, training: bool = True, *, generator: torch.Generator | None = None
) -> Tensor:
    r"""Drops the samples of a branch that has been computed already: the block is ``x + drop_path(f(x), p)``.

    .. math:: \text{out}_n = \frac{m_n\, y_n}{1-p} \text{ in training}, \qquad \text{out} = y \text{ at evaluation}

    Args:
        y: Tensor[N, *], output of the branch, without the shortcut.
        p: probability of DROPPING a sample, in [0, 1]; a number, or a tensor without dimensions.
        training: whether to drop; with ``False`` the input object itself comes back, as it does at ``p = 0``.
            At ``p = 1`` the output is zero with a zero gradient.
        generator: source of randomness; default: torch's global one.

    Raises:
        TypeError: if ``y`` is not a floating-point tensor, or ``p`` not a number or floating-point tensor.
        ValueError: if ``p`` lies outside [0, 1] or is NaN, or ``y`` has no dimension.

    Cost: N random numbers and N bytes kept for the backward pass. The branch is paid in full; where it is expensive,
    use :func:`stochastic_depth`.

    Reference: Larsson et al. (2017), sec. 3 (the name); per sample as in DeiT, Touvron et al. (2021).
    """
    check_input(y, "y")
    p = _check_rate(p)
    if y.ndim < 1:
        raise ValueError(f"y must have the shape (N, *) with 1 or more dimensions, got {tuple(y.shape)}")
    if not training or never_drops(p):
        return y
    return apply_mask(y, sample_mask(y, p, generator=generator), inverse(p))


def stochastic_depth(
    x: Tensor,
    branch: Callable[[Tensor], Tensor],
    p: float | Tensor = 0.5,
    training: bool = True,
    mode: str = "batch",
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Adds a residual branch, or drops it without computing it.

    .. math:: y = x + \frac{m}{1-p}\, f(x) \text{ in training}, \qquad y = x + f(x) \text{ at evaluation}

    with one coin m for the batch, or one for each sample. Per sample, the branch is called with the surviving rows
    only, so batch normalisation in it sees (and counts) the survivors only; if all survive it is called with ``x``.

    Args:
        x: Tensor of any shape; Tensor[N, *] where ``mode="sample"``.
        branch: the residual branch f: takes a tensor and returns one of the same shape and dtype (a narrower dtype is
            added as it is; under autocast any is).
        p: probability of DROPPING, in [0, 1]; a number, or a tensor without dimensions.
        training: whether to drop; with ``False`` the output is ``x + branch(x)``, as it is at ``p = 0``.
            When everything is dropped, always so at ``p = 1``, the input object itself comes back and ``branch`` is not
            called: its parameters get no gradient (``None`` after ``zero_grad``), and do not change ``x`` in place.
        mode: ``"batch"``: one coin for the whole batch. ``"sample"``: one coin for each sample.
        generator: source of randomness on the CPU; default: torch's global one.

    Returns:
        Tensor of the shape, dtype and memory format of ``x``.

    Raises:
        TypeError: if ``x`` or the branch's output is not a floating-point tensor, the branch's dtype is wider than that
            of ``x``, or ``p`` or ``branch`` is of a wrong type.
        ValueError: if ``p`` lies outside [0, 1] or is NaN, ``mode`` is another, or the branch's output has not the
            shape of its input.

    Cost: one random number a batch (a sample), on the host, also for a GPU, which never waits. The scale is part of the
    sum. Kept for the backward pass: nothing but what the branch keeps (and per sample the survivors' numbers). Over L
    blocks the expected share of the work is ``expected_depth(rates) / L``; per sample less is saved, because rows are
    gathered and scattered.

    ``torch.compile``: the decision is the host's, so in training it breaks the graph, and ``fullgraph=True`` raises.
    Compile the branches: ``StochasticDepth(torch.compile(branch), p)``. Compiling a whole net with ``fullgraph=False``
    does that for branches of a class of their own, but not for a bare ``nn.Sequential``; one graph of everything needs
    :func:`drop_path`. At evaluation nothing breaks.

    Reference: Huang et al. (2016), sec. 3 (by batch); skipping by sample as in DINOv2, Oquab et al. (2023), but with a
    coin for each sample in place of a fixed number of survivors.
    """
    check_input(x)
    p = _check_rate(p)
    _check_block(branch, mode)
    if not training or never_drops(p):
        y = _check_output(branch(x), x, x.shape)
        return torch.add(x, y).to(x.dtype)
    return _skip_or_add(x, branch, mode, lambda: (p, generator))


# The compiler must not look into this function, but is welcome to compile what it calls: the branch.
@torch._disable_dynamo(recursive=False)
def _skip_or_add(x: Tensor, branch: Callable, mode: str, gate: Callable) -> Tensor:
    kept, scale = _survivors(x, mode, gate)
    if kept is False:
        return x
    if kept is True:
        return _add(x, branch(x), kept, scale)
    rows = x.movedim(*_order(x)).index_select(0, kept).movedim(*_order(x, back=True))
    return _add(x, branch(rows), kept, scale)


@torch._disable_dynamo
def _survivors(x: Tensor, mode: str, gate: Callable) -> tuple[bool | Tensor, float]:
    """What survives, with its scale: True for all, False for none, else the numbers of the samples."""
    p, generator = gate()
    scale = inverse(float(p))
    if mode == "batch":
        return coin(p, generator=generator), scale
    if x.ndim < 1:
        raise ValueError("x must have the shape (N, *) with 1 or more dimensions, got a scalar")
    host = torch.empty(len(x), device="cpu")  # how many rows there are, the host must know: the coins fall there
    kept = element_mask(host, p, generator=generator).nonzero().squeeze(1)
    return (kept.to(x.device) if 0 < len(kept) < len(x) else len(kept) > 0), scale


@torch._disable_dynamo
def _add(x: Tensor, y: Tensor, kept: bool | Tensor, scale: float) -> Tensor:
    """The block's output: the branch's output, scaled, on top of all rows of ``x`` or of those that survived."""
    _check_output(y, x, x.shape if kept is True else (len(kept), *x.shape[1:]))
    if x.element_size() < 4:  # in 16 bits ``alpha`` would be rounded itself, and be off by up to 0.4 %
        y, scale = rescale(y, scale), 1
    if kept is True:
        return torch.add(x, y, alpha=scale).to(x.dtype)
    rows = y.to(x.dtype).movedim(*_order(x))
    return x.movedim(*_order(x)).index_add(0, kept, rows, alpha=scale).movedim(*_order(x, back=True))


def _order(x: Tensor, back: bool = False) -> tuple[int, int]:
    """The axis to move, and where to, so that ``x`` is contiguous: gathering rows keeps that, but no other format."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    if x.is_contiguous() or x.ndim not in formats or not x.is_contiguous(memory_format=formats[x.ndim]):
        return 0, 0
    return (-1, 1) if back else (1, -1)


class DropPath(DropoutModule):
    """Module form of :func:`drop_path`: the block is ``x + DropPath(p)(f(x))``.

    Args:
        p: probability of DROPPING, in [0, 1], or a :class:`companion.schedules.Ramp`.

    Shape: (N, \\*); the output has the input's shape, dtype and device.
    """

    def forward(self, y: Tensor) -> Tensor:
        return drop_path(y, self.rate(), self.training)


class StochasticDepth(DropoutModule):
    """Module form of :func:`stochastic_depth`: a residual block around its branch.

    On several ranks (``DistributedDataParallel``) the branch is skipped by all or by none only if all throw the same
    coin; else each step takes as long as that of the slowest, and nothing is saved. Their global random states must
    differ all the same, or they would use the same dropout masks. With ``seed`` the coins are a function of the seed
    and of a count of the training passes (the buffer ``step``, part of the ``state_dict``), whatever the global state;
    :func:`seed_gates` gives a whole model its seeds. A skipped branch has no gradient, so the wrapper needs
    ``find_unused_parameters=True``. Activation checkpointing repeats the coin, with a seed or without.

    Args:
        branch: the residual branch f, a module or another callable; see :func:`stochastic_depth`.
        p: probability of DROPPING, in [0, 1], or a :class:`companion.schedules.Ramp`.
        mode: ``"batch"``: one coin for the whole batch. ``"sample"``: one coin for each sample.
        seed: source of the coins; blocks of the same seed throw the same coins. Default: torch's global state.

    Shape: any, (N, \\*) by sample; the output has the input's shape, dtype and device.
    """

    step: Tensor | None

    def __init__(
        self,
        branch: Callable[[Tensor], Tensor],
        p: float | Ramp = 0.5,
        mode: str = "batch",
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(p)
        _check_block(branch, mode)
        self.branch, self.mode = branch, mode
        self.reseed(seed)

    def reseed(self, seed: int | None) -> None:
        """Sets the source of the coins and starts to count anew."""
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise TypeError(f"seed must be an int or None, got {type(seed).__name__}")
        self.seed = seed
        self.register_buffer("step", None if seed is None else torch.tensor(0))
        self._next: int | None = 0  # equals ``step``, which may lie on a GPU, where reading it would wait
        self._thrown: OrderedDict[bytes, int] = OrderedDict()

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or never_drops(self.p):
            return stochastic_depth(x, self.branch, 0.0, mode=self.mode)
        return _skip_or_add(check_input(x), self.branch, self.mode, self._gate)

    def _gate(self) -> tuple[float | Tensor, torch.Generator | None]:
        """The present rate and the source of the coin of this pass."""
        if self.seed is not None:
            return self.rate(), torch.Generator().manual_seed(_hash(self.seed, self._number_of_this_pass()))
        if self.mode == "batch" and torch.distributed.is_available() and torch.distributed.is_initialized():
            if torch.distributed.get_world_size() > 1:
                _warn_of_ranks()
        return self.rate(), None

    def _number_of_this_pass(self) -> int:
        # Activation checkpointing computes a pass again in the backward pass, and must find its coin again. What it
        # restores is the global random state: so 64 coins of that, which decide about nothing, name the pass.
        name = bytes(bernoulli((64,), 0.5).tolist())
        if self._next is None:
            self._next = int(self.step)
        if torch._C._current_graph_task_id() != -1:  # in a backward pass
            return self._thrown.get(name, self._next - 1)
        self._thrown[name] = self._next
        if len(self._thrown) > 4096:
            self._thrown.popitem(last=False)
        self._next += 1
        self.step += 1
        return self._next - 1

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._next = None if self.seed is not None else 0

    def extra_repr(self) -> str:
        seed = [] if self.seed is None else [f"seed={self.seed}"]
        return ", ".join(filter(None, [super().extra_repr(), f"mode={self.mode!r}", *seed]))


def seed_gates(model: torch.nn.Module, seed: int) -> int:
    """Gives each batch-mode :class:`StochasticDepth` of ``model`` a seed of its own; returns how many there are.

    Call it with the same ``seed`` on every rank, before the model is wrapped. Blocks that work by sample are left
    alone: there each rank should throw its own coins.
    """
    blocks = [block for block in model.modules() if isinstance(block, StochasticDepth) and block.mode == "batch"]
    for number, block in enumerate(blocks):
        block.reseed(_hash(seed, number))
    return len(blocks)


def _hash(seed: int, number: int) -> int:
    # Neighbouring seeds of the Mersenne twister begin alike; a hash sets them apart.
    return int.from_bytes(hashlib.blake2b(f"{seed} {number}".encode(), digest_size=8).digest()) >> 1


@functools.cache
def _warn_of_ranks() -> None:
    warnings.warn(
        "each rank throws its own coins of stochastic depth, so that no step is saved any time: call "
        "companion.layers.stochastic_depth.seed_gates(model, seed) with the same seed on every rank",
        stacklevel=2,
    )


def _check_rate(p: float | Tensor) -> float | Tensor:
    p = check_p(p)
    if isinstance(p, Tensor) and p.ndim > 0:
        raise ValueError(f"p must be a number or a tensor without dimensions, got the shape {tuple(p.shape)}")
    return p


def _check_block(branch: Callable, mode: str) -> None:
    if not callable(branch):
        raise TypeError(f"branch must be callable, got {type(branch).__name__}")
    if mode not in ("batch", "sample"):
        raise ValueError(f"mode must be 'batch' or 'sample', got {mode!r}")


def _check_output(y: Tensor, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    check_input(y, "the output of branch")
    if y.shape != torch.Size(shape):
        raise ValueError(f"branch must return the shape of its input, {tuple(shape)}, got {tuple(y.shape)}")
    if torch.promote_types(x.dtype, y.dtype) != x.dtype and not torch.is_autocast_enabled(x.device.type):
        raise TypeError(f"branch must return the dtype of its input, {x.dtype}, got {y.dtype}")
    return y
