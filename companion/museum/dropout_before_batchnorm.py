"""Dropout in front of BatchNorm.

BatchNorm remembers the variance it sees in training, and dropout inflates that variance; at test the noise is gone and
the stored variance no longer fits {cite}`li2019`. "BatchNorm, then dropout" in every block does not help: the next
block's BatchNorm still stands behind it. Behind the last BatchNorm dropout is harmless.
"""

import torch
from torch import nn

from companion.batchnorm import measure_shift

CHAPTER = "11"


def wrong() -> nn.Module:
    return nn.Sequential(
        *(nn.Linear(16, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(256, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.5)),
        nn.Linear(256, 10),
    )


def right() -> nn.Module:
    return nn.Sequential(
        *(nn.Linear(16, 256), nn.BatchNorm1d(256), nn.ReLU()),
        *(nn.Linear(256, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.5)),
        nn.Linear(256, 10),
    )


def check(network) -> None:
    net, x = network().train(), torch.randn(500, 16)
    for _ in range(60):
        net(x)
    ratios = [shift.ratio for shift in measure_shift(net, [x])]
    assert min(ratios) > 0.9, (
        f"variance at test over stored variance must be near 1 at every BatchNorm; the lowest is {min(ratios):.1f}"
    )
