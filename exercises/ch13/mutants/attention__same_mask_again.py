# must trigger: every call must draw a new mask
import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, q, k, v):
        scores = q @ k.mT / q.shape[-1] ** 0.5
        weights = scores.softmax(-1)
        if self.training:
            generator = torch.Generator().manual_seed(0)
            mask = torch.empty_like(weights).bernoulli_(1 - self.p, generator=generator)
            weights = weights * mask / (1 - self.p)
        return weights @ v
