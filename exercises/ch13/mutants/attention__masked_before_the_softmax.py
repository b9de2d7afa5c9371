# must trigger: the rows are normalized again
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
            gone = torch.empty_like(scores).bernoulli_(self.p).bool()
            weights = scores.masked_fill(gone, float("-inf")).softmax(-1).nan_to_num()
        return weights @ v
