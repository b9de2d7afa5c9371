"""Weight dropout that never rests.

The published code of a well-known language model calls dropout on its weights with ``training=True`` in its variational
branch {cite}`merity2018`. Training works; evaluation is random as well, and every reported number is a draw.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHAPTER = "13"


class wrong(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        rows = F.dropout(torch.ones(self.out_features, 1), 0.5, training=True)
        return F.linear(x, rows * self.weight, self.bias)


class right(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        rows = F.dropout(torch.ones(self.out_features, 1), 0.5, training=self.training)
        return F.linear(x, rows * self.weight, self.bias)


def check(layer) -> None:
    net, x = layer(64, 64).eval(), torch.ones(1, 64)
    assert torch.equal(net(x), net(x)), "in evaluation mode the same input must give the same output, and it does not"
