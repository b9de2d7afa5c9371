"""Dropout1d on a table.

``nn.Dropout1d`` drops whole channels of (N, C, L). A table (N, C) it takes for one example without a batch, and drops
whole *rows*: half of the examples become nothing, and no word is said. With no length there are no channels to drop;
plain dropout is meant.
"""

import torch
from torch import nn

CHAPTER = "05"


def wrong() -> nn.Module:
    return nn.Dropout1d(0.5)


def right() -> nn.Module:
    return nn.Dropout(0.5)


def check(layer) -> None:
    y = layer()(torch.ones(256, 64))
    lost = int((y == 0).all(1).sum())
    assert lost == 0, "whole examples were dropped, about half of the batch; units were meant"
