"""A search for dropout that finds one kind of it.

``type(module) is nn.Dropout`` finds neither ``nn.Dropout2d`` nor ``nn.AlphaDropout``, nor a class of your own that
inherits from any of them. The passes of a convolutional network are then all the same, and its uncertainty is zero.
"""

import torch
from torch import nn

from companion.uncertainty import dropout_active

CHAPTER = "12"


def wrong(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    model.eval()
    for module in model.modules():
        if type(module) is nn.Dropout:
            module.train()
    return model(x)


def right(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    model.eval()
    with dropout_active(model):
        return model(x)


def check(one_pass) -> None:
    x = torch.randn(4, 8, 5, 5)
    for layer in (nn.Dropout(0.5), nn.Dropout2d(0.5), nn.AlphaDropout(0.5)):
        model, kind = nn.Sequential(layer), type(layer).__name__
        assert not torch.equal(one_pass(model, x), one_pass(model, x)), (
            f"two passes through {kind} must differ, and they do not"
        )
