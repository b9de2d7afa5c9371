"""Stacked transformers with a rate of its own for each place where one can drop."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.layers.dropout import dropout
from companion.masks import check_p
from companion.models.stacked import Stacked, start

__all__ = ["SITES", "StackedTransformer"]

SITES = ("embedding", "attention", "residual", "ff", "head", "sum")


class StackedTransformer(Stacked):
    r"""Transformers that read a short sequence and name its class, one for each arm and seed.

    A token is a part of the features. Tokens are embedded by a linear layer, and learnt positions are added. Then come
    ``blocks`` times two residual steps :math:`x + D(f(\mathrm{norm}(x)))`, where f is attention in the first and a ReLU
    layer of width ``ff`` in the second; then norm, one vector for the sequence, and a linear head. Norms are those of
    the features without parameters. Linear layers start as in ``torch.nn.Linear``, positions with a standard deviation
    of 0.02.

    ============== =====================================================================================
    site           what is dropped in training, by inverted dropout
    ============== =====================================================================================
    ``embedding``  the sum of embedded tokens and positions
    ``attention``  the attention weights, after the softmax
    ``residual``   the output of attention and of the ReLU layer, before it is added to the shortcut
    ``ff``         the hidden units of the ReLU layer
    ``head``       what goes into the head
    ``sum``        what leaves an addition, shortcut and branch together: a common mistake, here to be measured
    ============== =====================================================================================

    Args:
        tokens: number of tokens, T.
        features: numbers in a token.
        classes: number of classes.
        seeds: seeds of the initial weights; the same for every arm.
        rates: one entry an arm: the probability of dropping at each site that it names, 0 at the others.
        width: features of a token inside, a multiple of ``heads``.
        heads: attention heads.
        ff: hidden units of the ReLU layers.
        blocks: number of blocks.
        read: what the head gets: the "mean" over the tokens, or the "last" token.

    Shape: input (models, n, T * features) or (seeds, n, T * features), repeated for every arm; output (models, n,
    classes).

    Reference: Vaswani et al. (2017), sec. 5.4 (dropout of embeddings and of branches before the addition). The norms
    stand inside the branches, as is usual today.
    """

    def __init__(
        self,
        tokens: int,
        features: int,
        classes: int,
        seeds: Sequence[int],
        rates: Sequence[Mapping[str, float]] = ({},),
        *,
        width: int = 32,
        heads: int = 2,
        ff: int = 64,
        blocks: int = 2,
        read: Literal["mean", "last"] = "mean",
    ) -> None:
        super().__init__(seeds, arms=len(rates))
        if width % heads:
            raise ValueError(f"width must be a multiple of heads, got {width} and {heads}")
        if read not in ("mean", "last"):
            raise ValueError(f'read must be "mean" or "last", got {read!r}')
        unknown = sorted({site for entry in rates for site in entry} - set(SITES))
        if unknown:
            raise ValueError(f"rates must name sites among {list(SITES)}, got {unknown}")
        self.tokens, self.features, self.heads, self.blocks, self.read = tokens, features, heads, blocks, read
        self.rates = {site: self._rate([check_p(entry.get(site, 0.0)) for entry in rates]) for site in SITES}
        generators = self.generators()
        block = [
            (width, 3 * width),
            (width, width),
            (width, ff),
            (ff, width),
        ]  # to q, k and v; their output; ReLU layer
        sizes = [(features, width), *block * blocks, (width, classes)]
        starts = [start(generators, self.arms, inputs, inputs + 1, outputs) for inputs, outputs in sizes]
        self.weights = nn.ParameterList(nn.Parameter(start[:, :-1].contiguous()) for start in starts)
        self.biases = nn.ParameterList(nn.Parameter(start[:, -1:].contiguous()) for start in starts)
        positions = torch.stack([0.02 * torch.randn(1, tokens, width, generator=g) for g in generators])
        self.positions = nn.Parameter(positions.repeat(self.arms, 1, 1, 1))

    def _rate(self, p: list[float]) -> float | Tensor:
        # Masks of one rate are drawn faster than those of one rate a model.
        return p[0] if len(set(p)) == 1 else torch.tensor(p, dtype=torch.float64).repeat_interleave(len(self.seeds))

    def _drop(self, x: Tensor, site: str) -> Tensor:
        p = self.rates[site]
        if isinstance(p, Tensor):
            p = p.view(-1, *(1,) * (x.ndim - 1))
        return dropout(x, p, self.training, generator=self.generator)

    def linear(self, x: Tensor, layer: int) -> Tensor:
        """(models, ..., inputs) -> (models, ..., outputs) of ``layer``."""
        flat = x.reshape(x.shape[0], -1, x.shape[-1])
        return torch.baddbmm(self.biases[layer], flat, self.weights[layer]).view(*x.shape[:-1], -1)

    def attention(self, x: Tensor, block: int) -> tuple[Tensor, Tensor]:
        """Attention weights before dropout (models, n, heads, T, T); values (models, n, heads, T, width / heads)."""
        mixed = self.linear(F.layer_norm(x, x.shape[-1:]), 4 * block + 1)
        queries, keys, values = mixed.unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        return (queries @ keys.mT / queries.shape[-1] ** 0.5).softmax(-1), values

    def forward(self, x: Tensor) -> Tensor:
        x = self.per_model(x).unflatten(-1, (self.tokens, self.features))
        x = self._drop(self.linear(x, 0) + self.positions, "embedding")
        for block in range(self.blocks):
            weights, values = self.attention(x, block)
            branch = (self._drop(weights, "attention") @ values).transpose(2, 3).flatten(-2)
            x = self._drop(x + self._drop(self.linear(branch, 4 * block + 2), "residual"), "sum")
            branch = self._drop(self.linear(F.layer_norm(x, x.shape[-1:]), 4 * block + 3).relu(), "ff")
            x = self._drop(x + self._drop(self.linear(branch, 4 * block + 4), "residual"), "sum")
        x = F.layer_norm(x, x.shape[-1:])
        return self.linear(self._drop(x.mean(-2) if self.read == "mean" else x[..., -1, :], "head"), -1)
