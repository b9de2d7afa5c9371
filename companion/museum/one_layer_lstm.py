"""An LSTM with a rate and no dropout.

``nn.LSTM(dropout=p)`` drops *between* its layers, never behind the last one. With one layer there is no between: a
warning is printed once, far up in the log, and nothing is dropped. Put a layer behind it.
"""

import warnings

import torch
from torch import Tensor, nn

from companion import LockedDropout

CHAPTER = "13"


class wrong(nn.Module):
    def __init__(self):
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as most of us do
            self.lstm = nn.LSTM(8, 16, num_layers=1, dropout=0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x)[0]


class right(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.drop = nn.LSTM(8, 16, num_layers=1), LockedDropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.lstm(x)[0])


def check(network) -> None:
    net, x = network().train(), torch.randn(5, 3, 8)
    assert not torch.equal(net(x), net(x)), (
        "with a rate of 0.5 two passes in training mode must differ, and they do not"
    )
