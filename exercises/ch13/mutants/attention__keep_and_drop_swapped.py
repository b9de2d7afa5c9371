# must trigger: the survivors should be
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
            weights = weights * torch.empty_like(weights).bernoulli_(self.p) / self.p if self.p else weights
        return weights @ v
