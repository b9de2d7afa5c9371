"""What every layer shares: the check of its input, the step that applies a mask, the shell of a module."""

import torch
from torch import Tensor, nn

from companion.masks import FEW, check_p, constant, transformed
from companion.schedules import Ramp

__all__ = ["DropoutModule", "apply_mask", "check_input", "inverse", "never_drops", "rescale"]

# From this many elements on, a pass over them is a pass over main memory.
LARGE = 1 << 22

# Below this many elements an operation costs more than its passes.
MIDDLE = 1 << 16

# Integers of the width of each floating-point number: through them a mask is applied as bits.
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def check_input(x: Tensor, name: str = "x") -> Tensor:
    """Returns ``x``, or raises a TypeError that names it if it is not a floating-point or complex tensor."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a Tensor, got {type(x).__name__}")
    if not (x.is_floating_point() or x.is_complex()):
        raise TypeError(f"{name} must be a floating-point tensor, got {x.dtype}")
    return x


def never_drops(p: float | Tensor) -> bool:
    """Whether ``p`` is the number 0. A tensor of zeros draws as any other: its values are not looked at."""
    return isinstance(p, float) and p == 0


def inverse(p: float | Tensor) -> float | Tensor:
    """The scale 1 / (1 - p) of the inverted scheme; 0 where p = 1, so that nothing becomes infinite."""
    if not isinstance(p, Tensor):
        return 1 / (1 - p) if p < 1 else 0.0
    keep = 1 - p.detach().double()
    return torch.where(keep > 0, 1 / keep.clamp(min=torch.finfo(keep.dtype).tiny), 0)


def rescale(x: Tensor, scale: float | Tensor) -> Tensor:
    """The product ``x * scale``, each element rounded once, in the dtype of ``x``; no gradient reaches ``scale``."""
    if not isinstance(scale, Tensor):
        return x * scale
    # In 16 bits the scale itself would be off by up to 0.2 %; the product is rounded once, as it is with a number.
    real = torch.promote_types(x.real.dtype if x.is_complex() else x.dtype, torch.float32)
    wide = x.to(torch.promote_types(x.dtype, real))
    return (wide * scale.detach().to(device=x.device, dtype=real)).to(x.dtype)


def apply_mask(x: Tensor, mask: Tensor, scale: float | Tensor = 1.0) -> Tensor:
    r"""Keeps and scales, or sets to zero: :math:`y = s\,x` where the mask is 1 and :math:`y = 0` where it is 0.

    A dropped place is zero whatever stood there, infinity and NaN included, and so is its gradient.

    Args:
        x: Tensor of any shape, floating point or complex.
        mask: Tensor of ``torch.uint8`` that broadcasts to the shape of ``x``: 1 keeps, 0 drops.
        scale: factor on what is kept; a number, or a tensor that broadcasts to the shape of ``x`` (no gradient).

    Returns:
        Tensor of the shape, dtype, device and memory format of ``x``. Each element is rounded once.

    Cost: three light passes on the CPU; the mask, one byte an element, is kept for the backward pass.
    """
    if isinstance(scale, Tensor) and scale.ndim == 0 and scale.device.type == "cpu" and not transformed():
        scale = float(scale)
    if transformed():
        mask = _in_format_of(x, mask)
        # The compiler turns a choice by integers into vector instructions, one by bytes into a branch an element.
        kept = mask.to(torch.int32) != 0 if torch.compiler.is_compiling() else mask.to(torch.bool)
        return rescale(torch.where(kept, x, 0), scale)
    if x.numel() < FEW or x.device.type != "cpu" or isinstance(scale, Tensor):
        return rescale(x, scale).masked_fill_(mask == 0, 0)
    if (x.requires_grad and torch.is_grad_enabled()) or torch.autograd.forward_ad._current_level >= 0:
        return _ApplyMask.apply(x, mask, scale)
    return _masked_bits(x, mask, scale)  # nothing to differentiate: a third of the cost of a middle-sized tensor


def _in_format_of(x: Tensor, mask: Tensor) -> Tensor:
    # ``where`` takes its output's memory format from the condition. An example under vmap cannot be asked for its own.
    if torch._C._are_functorch_transforms_active():
        return mask
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    if x.shape == mask.shape and x.ndim in formats and x.is_contiguous(memory_format=formats[x.ndim]):
        return mask.contiguous(memory_format=formats[x.ndim])
    return mask


def _masked_bits(x: Tensor, mask: Tensor, scale: float) -> Tensor:
    # The bits of a number, read as an integer, times 0 or 1: a product of the numbers themselves would turn infinity
    # into NaN, and a choice (``where``) branches on each element, which costs ten times as much as these passes.
    if x.is_complex():
        return torch.view_as_complex(_masked_bits(torch.view_as_real(x.resolve_conj()), mask.unsqueeze(-1), scale))
    x = x.resolve_neg()
    if x.numel() >= LARGE and _owns_rows(mask, x):
        dropped = (mask.reshape(-1) == 0).nonzero().view(-1)
        if 4 * dropped.numel() < mask.numel():  # little to erase: less memory is passed over than in a second product
            y = x * scale
            y.view(mask.numel(), -1).index_fill_(0, dropped, 0)
            return y
    if x.numel() >= MIDDLE and mask.shape == x.shape:  # room for the mask as integers is made once, in the output
        y = torch.empty_like(x)
        y.view(_BITS[x.element_size()]).copy_(mask).mul_(x.view(_BITS[x.element_size()]))
        return y if scale == 1 else y.mul_(scale)
    y = x * constant(scale, x.dtype)
    y.view(_BITS[x.element_size()]).mul_(mask)
    return y


def _owns_rows(mask: Tensor, x: Tensor) -> bool:
    """Whether the cells that share a coin lie side by side in memory, as those of a channel or of a sample do."""
    own = mask.ndim
    while own and mask.shape[own - 1] == 1:
        own -= 1
    return mask.ndim == x.ndim > own and mask.shape[:own] == x.shape[:own] and x.is_contiguous()


def drop_few(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor | None:
    """Which elements of a small tensor fall (True), or None where the general way must be taken.

    The same coins as the general way, with no Python in between: at this size it is all that costs.
    """
    if x.numel() >= FEW or not x.is_cpu or not x.is_floating_point() or transformed():
        return None
    drop = torch.empty_like(x, dtype=torch.bool, memory_format=torch.contiguous_format)
    return drop.bernoulli_(constant(p), generator=generator)


class _ApplyMask(torch.autograd.Function):
    """Keeps only the mask, where autograd's own product would keep a float for each element."""

    @staticmethod
    def forward(ctx, x: Tensor, mask: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(mask)
        ctx.save_for_forward(mask)
        ctx.scale = scale
        return _masked_bits(x, mask, scale)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return apply_mask(gradient, ctx.saved_tensors[0], ctx.scale), None, None

    @staticmethod
    def jvp(ctx, tangent: Tensor, *_):
        return apply_mask(tangent, ctx.saved_tensors[0], ctx.scale)


class DropoutModule(nn.Module):
    """Shell over a dropout function: holds ``p`` and follows ``train()`` and ``eval()``.

    Args:
        p: probability of DROPPING, in [0, 1], or a :class:`companion.schedules.Ramp` that moves it during training.
    """

    def __init__(self, p: float | Ramp = 0.5) -> None:
        super().__init__()
        self.p = p if isinstance(p, Ramp) else check_p(p)

    def rate(self) -> float | Tensor:
        """The present ``p``: a number, or a tensor without dimensions while compiling a scheduled rate."""
        if not isinstance(self.p, Ramp):
            return self.p
        return self.p.p if torch.compiler.is_compiling() else float(self.p.p)

    def extra_repr(self) -> str:
        return "" if isinstance(self.p, Ramp) else f"p={self.p}"
