"""Stacked recurrent networks whose state is dropped by masks drawn at each step or locked for a sequence."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from companion.layers.base import apply_mask, inverse
from companion.masks import bernoulli, check_p
from companion.models.stacked import Stacked, start

__all__ = ["StackedRecurrent"]


class StackedRecurrent(Stacked):
    r"""Recurrent networks that read a sequence and name its class after the last step, one for each arm and seed.

    The mask :math:`m_t` of step t stands in front of the product with the recurrent weights,
    :math:`U\,\tilde h` with :math:`\tilde h = m_t h_{t-1} / (1-p)`, and one more in front of the linear head. Masks of
    an example are drawn for every step and for the head ("fresh"), or once ("locked").

    ========= ==============================================================================================
    cell      a step
    ========= ==============================================================================================
    ``elman`` :math:`h_t = \tanh(W x_t + U \tilde h + b)`
    ``gru``   :math:`h_t = (1-z)\,\tanh(W x_t + b + r\,(U \tilde h + d)) + z\,c` with gates r and z that are
              sigmoids of :math:`x_t` and :math:`\tilde h`
    ========= ==============================================================================================

    What a gated unit carries past the product, c, is :math:`h_{t-1}` itself, or dropped as well if ``state``: fresh
    masks then give :math:`c = \tilde h`, as inverted dropout of the state would; locked ones :math:`c = m h_{t-1}`, for
    with the scale a unit that is always kept would grow like :math:`(1-p)^{-T}`. With locked masks ``state`` changes
    nothing that can be seen: a unit that is dropped everywhere has no way to the output.

    Recurrent matrices start orthogonal, all else as in ``torch.nn.Linear``, uniform in ±1/sqrt(width) (the head and the
    recurrent layers) or ±1/sqrt(features) (the input layer).

    Args:
        features: numbers in a step.
        width: units of the state.
        classes: number of classes.
        seeds: seeds of the initial weights; the same for every arm.
        masks: one entry an arm: the kind of mask, "fresh" or "locked", and the probability of dropping.
        cell: "elman" or "gru".
        state: whether what a gated unit carries is dropped as well; an Elman state has no way past the product.

    Shape: input (models, n, T * features) or (seeds, n, T * features) for any T, repeated for every arm; output
    (models, n, classes).

    Reference: Gal & Ghahramani (2016), sec. 4 (locked); Semeniuta et al. (2016), sec. 3 (masks that spare what a gate
    carries).
    """

    def __init__(
        self,
        features: int,
        width: int,
        classes: int,
        seeds: Sequence[int],
        masks: Sequence[tuple[Literal["fresh", "locked"], float]] = (("fresh", 0.0),),
        *,
        cell: Literal["elman", "gru"] = "elman",
        state: bool = True,
    ) -> None:
        super().__init__(seeds, arms=len(masks))
        if cell not in ("elman", "gru"):
            raise ValueError(f'cell must be "elman" or "gru", got {cell!r}')
        for kind, p in masks:
            if kind not in ("fresh", "locked"):
                raise ValueError(f'masks must be "fresh" or "locked" with a probability, got {kind!r}')
            check_p(p)
        self.features, self.width, self.cell, self.state, self.masks = features, width, cell, state, tuple(masks)
        generators, parts = self.generators(), {"elman": 1, "gru": 3}[cell]
        first = start(generators, self.arms, features, features + 1, parts * width)
        self.into, self.bias = (nn.Parameter(part.contiguous()) for part in first.split([features, 1], 1))
        recurrent = torch.stack([torch.cat([_orthogonal(width, g) for _ in range(parts)], 1) for g in generators])
        self.recurrent = nn.Parameter(recurrent.repeat(self.arms, 1, 1))
        # Only inside a gated unit does a second bias differ from the first.
        self.inner = nn.Parameter(start(generators, self.arms, width, 1, width)) if cell == "gru" else None
        head = start(generators, self.arms, width, width + 1, classes)
        self.head, self.head_bias = (nn.Parameter(part.contiguous()) for part in head.split([width, 1], 1))

    def draw_masks(self, n: int, steps: int) -> Tensor:
        """Masks of 0 and 1 for ``n`` examples, one for each product and one for the head: (steps, models, n, width)."""
        arms = []
        for kind, p in self.masks:
            shape = (1 if kind == "locked" else steps, len(self.seeds), n, self.width)
            mask = bernoulli(shape, p, device=self.head.device, generator=self.generator)
            arms.append(mask.expand(steps, -1, -1, -1))
        return torch.cat(arms, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.per_model(x).unflatten(-1, (-1, self.features))
        models, n, steps, _ = x.shape
        seen = torch.baddbmm(self.bias, x.flatten(1, 2), self.into).view(models, n, steps, -1)
        drops = self.training and any(p > 0 for _, p in self.masks)
        masks = self.draw_masks(n, steps) if drops else None
        p = self._each([p for _, p in self.masks])
        carried_p = self._each([p if kind == "fresh" else 0.0 for kind, p in self.masks])
        state = self._step(seen[:, :, 0], None, None)  # nothing is remembered yet, and nothing dropped
        for t in range(1, steps):
            scaled = carried = state
            if drops:
                scaled = apply_mask(state, masks[t - 1], inverse(p))
                if self.state and self.cell == "gru":
                    carried = apply_mask(state, masks[t - 1], inverse(carried_p))
            state = self._step(seen[:, :, t], scaled, carried)
        return torch.baddbmm(self.head_bias, apply_mask(state, masks[-1], inverse(p)) if drops else state, self.head)

    def _each(self, values: list[float]) -> Tensor:
        """One number for every model, which broadcasts against a state."""
        return torch.tensor(values, dtype=torch.float64).repeat_interleave(len(self.seeds)).view(-1, 1, 1)

    def _step(self, seen: Tensor, scaled: Tensor | None, carried: Tensor | None) -> Tensor:
        """The next state from what is seen, the state in front of the product, and the state that a gate carries."""
        again = torch.zeros_like(seen) if scaled is None else torch.bmm(scaled, self.recurrent)
        if self.cell == "elman":
            return (seen + again).tanh()
        seen_r, seen_z, seen_n = seen.chunk(3, -1)
        again_r, again_z, again_n = again.chunk(3, -1)
        update = (seen_z + again_z).sigmoid()
        new = (seen_n + (seen_r + again_r).sigmoid() * (again_n + self.inner)).tanh()
        return (1 - update) * new + (0 if carried is None else update * carried)


def _orthogonal(width: int, generator: torch.Generator) -> Tensor:
    return nn.init.orthogonal_(torch.empty(width, width), generator=generator)
