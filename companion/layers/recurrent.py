r"""Dropout for sequences: one mask for all time steps (locked), for recurrent weights, and for whole words.

Ordinary dropout in front of a recurrent state multiplies what a unit remembers by a fresh coin at each step: after T
steps it is whole with probability :math:`(1-p)^T`. Here a coin is thrown once a sequence, and holds for all its steps:

================== ================================== ==========================================
layer              what one coin decides about        formula
================== ================================== ==========================================
locked dropout     a feature of a sequence            :math:`y_{ntd} = m_{nd}\,x_{ntd}/(1-p)`
weight drop        a hidden-to-hidden weight          :math:`U' = M \odot U/(1-p)`
embedding dropout  a word, wherever the batch has it  :math:`y_i = m_{w_i}\,E_{w_i}/(1-p)`
================== ================================== ==========================================

All coins are :math:`\mathrm{Bernoulli}(1-p)`, thrown anew at each training forward.
"""

from collections.abc import Sequence
from operator import attrgetter

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from companion.layers.base import DropoutModule, apply_mask, check_input, inverse, never_drops
from companion.masks import check_ids, check_p, element_mask, step_mask, transformed, weight_mask, word_mask
from companion.schedules import Ramp

__all__ = ["EmbeddingDropout", "LockedDropout", "WeightDrop", "embedding_dropout", "locked_dropout"]


# --- locked (variational) dropout -------------------------------------------------------------------------------------


def locked_dropout(
    x: Tensor | PackedSequence,
    p: float | Tensor = 0.5,
    training: bool = True,
    axis: int = 1,
    *,
    generator: torch.Generator | None = None,
) -> Tensor | PackedSequence:
    r"""Inverted dropout with one mask for all time steps of a sequence, and another mask for each sequence.

    .. math:: y_{ntd} = \frac{m_{nd}\,x_{ntd}}{1-p}, \qquad m_{nd} \sim \mathrm{Bernoulli}(1-p)

    Args:
        x: Tensor[N, T, D] (batch first), or of any shape with 3 or more dimensions and the time steps along ``axis``;
            or Tensor[T, D] with ``axis=0``; or a PackedSequence, which gets the mask that its padded form
            (N, T, D) would get.
        p: probability of DROPPING, in [0, 1].
        training: whether to drop; with ``False`` the input object itself comes back, as it does at ``p = 0``.
            At ``p = 1`` the output is zero with a zero gradient.
        axis: the time axis: 1 for batch-first input, 0 for the time-first input that ``torch.nn.LSTM`` expects by
            default. A PackedSequence knows its steps and does not use it.
        generator: source of randomness; default: torch's global one.

    Raises:
        TypeError: if ``x`` is not a floating-point tensor, ``p`` not a number, or ``axis`` not an integer.
        ValueError: if ``p`` lies outside [0, 1] or is NaN, or ``x`` has too few dimensions or no such ``axis``.

    Cost: one random byte, and one byte kept for the backward pass, a feature of a sequence, however many steps it has.
    (Packed: one byte kept an element.)

    Reference: Gal & Ghahramani (2016), A theoretically grounded application of dropout in RNNs, sec. 4.1.
    """
    values = x.data if isinstance(x, PackedSequence) else x
    check_input(values)
    p = check_p(p)
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise TypeError(f"axis must be an integer, got {type(axis).__name__}")
    if isinstance(x, PackedSequence):
        if not training or never_drops(p):
            return x
        mask = _packed_step_mask(x, p, generator)
        return PackedSequence(apply_mask(values, mask, inverse(p)), *x[1:])
    if x.ndim < 2 or (x.ndim == 2 and axis not in (0, -2)):
        raise ValueError(
            f"x must have the shape (N, T, D), 3 or more dimensions, or (T, D) with axis=0, "
            f"got {tuple(x.shape)} with axis={axis}"
        )
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis must be an axis of x, which has {x.ndim} dimensions, got {axis}")
    if not training or never_drops(p):
        return x
    return apply_mask(x, step_mask(x, p, axis, generator=generator), inverse(p))


def _packed_step_mask(x: PackedSequence, p: float | Tensor, generator: torch.Generator | None) -> Tensor:
    # Step after step, the rows of ``data`` are those sequences that are still running, the longest first.
    running = x.batch_sizes
    of_sequence = element_mask(x.data[: int(running[0])], p, generator=generator)
    first_row = running.cumsum(0) - running
    sequence = torch.arange(len(x.data), device="cpu") - first_row.repeat_interleave(running)
    sequence = sequence.to(x.data.device)
    return of_sequence[sequence if x.sorted_indices is None else x.sorted_indices[sequence]]


class LockedDropout(DropoutModule):
    """Module form of :func:`locked_dropout`.

    Args:
        p: probability of DROPPING, in [0, 1], or a :class:`companion.schedules.Ramp`.
        axis: the time axis of the input: 1 for (N, T, D), 0 for (T, N, D).

    Shape: (N, T, D), any other with 3 or more dimensions, or a PackedSequence; the output has the input's.
    """

    def __init__(self, p: float | Ramp = 0.5, axis: int = 1) -> None:
        super().__init__(p)
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise TypeError(f"axis must be an integer, got {type(axis).__name__}")
        self.axis = axis

    def forward(self, x: Tensor | PackedSequence) -> Tensor | PackedSequence:
        return locked_dropout(x, self.rate(), self.training, self.axis)

    def extra_repr(self) -> str:
        return ", ".join(filter(None, (super().extra_repr(), f"axis={self.axis}")))


# --- dropout of a module's weights ------------------------------------------------------------------------------------


class _Wrapper(DropoutModule):
    """A dropout module around another module, whose own checkpoints it loads too."""

    wrapped: str  # the attribute that holds the other module

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        for name in getattr(self, self.wrapped).state_dict():
            plain, full = prefix + name, f"{prefix}{self.wrapped}.{name}"
            if plain in state_dict and full not in state_dict:
                state_dict[full] = state_dict.pop(plain)
        super()._load_from_state_dict(state_dict, prefix, *args)


class WeightDrop(_Wrapper):
    r"""Wraps a module and drops single weights of it (DropConnect), by default those from hidden state to hidden state.

    .. math:: U' = \frac{M \odot U}{1-p}, \qquad M_{ij} \sim \mathrm{Bernoulli}(1-p)

    Each training forward draws one mask for the whole batch and for all time steps, so that recurrent weights can be
    dropped although the loop over time is inside a compiled kernel. At evaluation and at ``p = 0`` the module is called
    as it is, always; at ``p = 1`` the weights are zero, with zero gradients.

    >>> rnn = WeightDrop(nn.LSTM(400, 1150, num_layers=2), p=0.5)
    >>> outputs, (h, c) = rnn(torch.randn(70, 80, 400))

    The module itself is ``rnn.module``; it is neither changed nor copied: its parameters stay registered (as
    ``module.weight_hh_l0`` in ``state_dict``) and are trained, and only during a call the masked weights stand in their
    place. ``load_state_dict`` also takes a checkpoint of the module without the wrapper.

    Args:
        module: any module: ``nn.LSTM``, ``nn.GRU``, ``nn.RNN``, their cells, ``nn.Linear``, a convolution, ...
        p: probability of DROPPING a weight, in [0, 1], or a :class:`companion.schedules.Ramp`.
        names: which parameters to drop, as in ``module.named_parameters()``. Default: all hidden-to-hidden weights
            (``weight_hh_l0``, ``weight_hh_l0_reverse``, ...) if there are any, else ``weight``.

    Shape: inputs (hidden states and PackedSequence included) and outputs are those of the module.

    Raises:
        TypeError: if ``module`` is not a module, or ``p`` not a number.
        ValueError: if ``p`` is out of range, or a name is not one of a floating-point parameter of the module.

    Cost: one random byte and one byte kept for the backward pass a dropped weight, and the masked weight itself, which
    is kept until the next forward. ``torch.compile`` breaks the graph at nn.LSTM, nn.GRU and nn.RNN, as it does
    without the wrapper.

    Reference: Merity, Keskar & Socher (2018), Regularizing and optimizing LSTM language models, sec. 2.
    """

    wrapped = "module"

    def __init__(self, module: nn.Module, p: float | Ramp = 0.5, names: str | Sequence[str] | None = None) -> None:
        super().__init__(p)
        if not isinstance(module, nn.Module):
            raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
        droppable = [name for name, weight in module.named_parameters() if weight.is_floating_point()]
        if names is None:
            names = [name for name in droppable if name.rpartition(".")[2].startswith("weight_hh")] or ["weight"]
        names = (names,) if isinstance(names, str) else tuple(names)
        for name in names:
            if name not in droppable:
                raise ValueError(f"names must be of floating-point parameters of the module {droppable}, got {name!r}")
        self.module = module
        self.names = names

    def forward(self, *args, **kwargs):
        p = self.rate()
        if not self.training or never_drops(p):
            return self.module(*args, **kwargs)
        dropped = {}
        for name in self.names:
            weight = attrgetter(name)(self.module)
            dropped[name] = apply_mask(weight, weight_mask(weight, p), inverse(p))
        return torch.func.functional_call(self.module, dropped, args, kwargs)

    def extra_repr(self) -> str:
        return ", ".join(filter(None, (super().extra_repr(), f"names={list(self.names)}")))


# --- embedding dropout ------------------------------------------------------------------------------------------------


def embedding_dropout(
    ids: Tensor,
    weight: Tensor,
    p: float | Tensor = 0.1,
    training: bool = True,
    *,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""Looks up words and drops whole words: a dropped word is a zero vector everywhere in the batch.

    .. math:: y_i = \frac{m_{w_i}\,E_{w_i}}{1-p}, \qquad m_w \sim \mathrm{Bernoulli}(1-p) \text{ for each word } w

    The same as ``F.embedding(ids, m * weight / (1 - p))``, without the product over the whole vocabulary: the lookup
    comes first, and only words that are looked up have a coin (:func:`companion.masks.word_mask`). The table itself is
    never changed (but by ``max_norm``, as in torch).

    Args:
        ids: Tensor of any shape, ``torch.int64`` or ``torch.int32``, with values from 0 to V - 1.
        weight: Tensor[V, D], the table: V words, D features.
        p: probability of DROPPING a word, in [0, 1].
        training: whether to drop; with ``False``, and at ``p = 0``, the result is ``F.embedding(ids, weight)``.
            At ``p = 1`` it is zero, with zero gradients.
        padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse: as in ``torch.nn.functional.embedding``.
        generator: source of randomness; default: torch's global one.

    Returns:
        Tensor[*ids.shape, D] of the dtype of ``weight``.

    Raises:
        TypeError: if ``ids`` is not an integer tensor, ``weight`` not a floating-point one, or ``p`` not a number.
        ValueError: if ``weight`` is not a table, or ``p`` lies outside [0, 1] or is NaN.
        IndexError: (by torch) if an id lies outside the table.

    Cost: two light passes over the rows that are looked up, and a dozen over the ids; nothing grows with V. Kept for
    the backward pass is the list of dropped tokens.

    Reference: Gal & Ghahramani (2016), sec. 4.2; Merity, Keskar & Socher (2018), sec. 4.3.
    """
    check_ids(ids)
    check_input(weight, "weight")
    if weight.ndim != 2:
        raise ValueError(f"weight must have the shape (V, D), got {tuple(weight.shape)}")
    p = check_p(p)
    if isinstance(p, Tensor) and p.ndim:
        raise ValueError(f"p must be one rate for all words, got a tensor of shape {tuple(p.shape)}")
    tokens = ids.reshape(-1)
    rows = F.embedding(tokens, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    if training and not never_drops(p):
        kept = word_mask(tokens, p, generator=generator).unsqueeze(1)
        if transformed() or not rows.is_cpu:
            rows = apply_mask(rows, kept, inverse(p))
        else:
            # Nobody else has seen these rows, so they are scaled and zeroed where they are.
            rows = rows.mul_(inverse(float(p))).index_fill_(0, (kept == 0).nonzero()[:, 0], 0)
    return rows.view(*ids.shape, weight.shape[1])


class EmbeddingDropout(_Wrapper):
    """Wraps an ``nn.Embedding`` and drops whole words in training; see :func:`embedding_dropout`.

    >>> embedding = nn.Embedding(33278, 400, padding_idx=0)
    >>> words = EmbeddingDropout(embedding, p=0.1)
    >>> vectors = words(torch.randint(33278, (70, 80)))

    The embedding is shared, not copied: it can be tied to the output layer before or after
    (``decoder.weight = words.weight``), and its ``padding_idx``, ``max_norm``, ``norm_type``, ``scale_grad_by_freq``
    and ``sparse`` hold. ``state_dict`` names the table ``embedding.weight``; ``load_state_dict`` also takes a
    checkpoint of the embedding without the wrapper.

    Args:
        embedding: the embedding; at evaluation the result is what it gives itself.
        p: probability of DROPPING a word, in [0, 1], or a :class:`companion.schedules.Ramp`.

    Shape: ids (*) to (*, D).
    """

    wrapped = "embedding"

    def __init__(self, embedding: nn.Embedding, p: float | Ramp = 0.1) -> None:
        super().__init__(p)
        if not isinstance(embedding, nn.Embedding):
            raise TypeError(f"embedding must be a torch.nn.Embedding, got {type(embedding).__name__}")
        self.embedding = embedding

    @property
    def weight(self) -> nn.Parameter:
        """The table of the embedding, for tying."""
        return self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        table = self.embedding
        return embedding_dropout(
            ids,
            table.weight,
            self.rate(),
            self.training,
            padding_idx=table.padding_idx,
            max_norm=table.max_norm,
            norm_type=table.norm_type,
            scale_grad_by_freq=table.scale_grad_by_freq,
            sparse=table.sparse,
        )
