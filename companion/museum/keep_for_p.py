"""The probability of keeping, taken for the probability of dropping.

Papers and old programs state the probability of *keeping*. Copied into ``nn.Dropout``, which wants the probability of
*dropping*, a gentle 0.8 becomes a brutal one. At 0.5 nobody notices, so the slip waits for the first other rate.
"""

import torch
from torch import nn

CHAPTER = "02"


def wrong(keep_prob: float) -> nn.Module:
    return nn.Dropout(keep_prob)


def right(keep_prob: float) -> nn.Module:
    return nn.Dropout(1 - keep_prob)


def check(layer) -> None:
    kept = (layer(keep_prob=0.8)(torch.ones(100_000)) != 0).float().mean()
    assert abs(kept - 0.8) < 0.02, f"keep_prob = 0.8 must keep 80% of the units, and {kept:.0%} are kept"
