# must trigger: Drop weights, behind the softmax
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
            weights = (scores * torch.empty_like(scores).bernoulli_(1 - self.p) / (1 - self.p)).softmax(-1)
        return weights @ v
