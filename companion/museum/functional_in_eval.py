"""Dropout that eval() does not reach.

``F.dropout`` is a function and cannot know the mode of the module that calls it; its default is ``training=True``. The
model answers differently every time it is asked, in production too. Use the module, or pass ``self.training``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHAPTER = "03"


class wrong(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5)


class right(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, 0.5, self.training)


def check(layer) -> None:
    x = torch.ones(100)
    assert torch.equal(layer().eval()(x), x), "in evaluation mode the input must come back, and units are missing"
