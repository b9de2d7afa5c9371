"""Dropout behind the last layer.

The layer is appended to a list of layers, and so it also lands behind the last one. Now the logits themselves are set
to zero at random, the right one included: the training loss gets a floor. In the chapter's experiment this did no
harm, but the first hidden layer gained more.
"""

from itertools import pairwise

import torch
from torch import nn

CHAPTER = "10"


def wrong(sizes: list[int]) -> nn.Module:
    layers = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(0.5)]
    del layers[-2]  # no ReLU at the end
    return nn.Sequential(*layers)


def right(sizes: list[int]) -> nn.Module:
    layers = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(0.5)]
    return nn.Sequential(*layers[:-2])  # neither ReLU nor dropout at the end


def check(network) -> None:
    logits = network([16, 32, 10])(torch.randn(200, 16))
    assert bool((logits != 0).all()), (
        "in training mode about half of the logits are exactly 0; the last layer must be linear"
    )
