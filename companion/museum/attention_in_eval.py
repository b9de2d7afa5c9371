"""Attention that drops at test.

``F.scaled_dot_product_attention`` drops with ``dropout_p`` whenever it is given one; it knows nothing of ``eval()``.
Pass 0 unless the module trains.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHAPTER = "13"


class wrong(nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=0.1)


class right(nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=0.1 if self.training else 0.0)


def check(attention) -> None:
    net, x = attention().eval(), torch.randn(2, 4, 16, 8)
    assert torch.equal(net(x, x, x), net(x, x, x)), (
        "in evaluation mode the same input must give the same output, and it does not"
    )
