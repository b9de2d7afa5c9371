# must trigger: you drop keys or values
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
            return weights @ (v * torch.empty(*v.shape[:-1], 1).bernoulli_(1 - self.p) / (1 - self.p))
        return weights @ v
