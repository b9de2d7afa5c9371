# must trigger: in evaluation mode you scale by 1 - p
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
            return weights * torch.empty_like(weights).bernoulli_(1 - self.p) @ v
        return (1 - self.p) * weights @ v
