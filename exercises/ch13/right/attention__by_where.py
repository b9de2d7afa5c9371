import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, q, k, v):
        weights = torch.softmax(torch.einsum("nhtd,nhsd->nhts", q, k) / q.size(-1) ** 0.5, dim=-1)
        if self.training and self.p > 0:
            weights = torch.where(torch.rand(weights.shape) < self.p, 0.0, weights / (1 - self.p))
        return torch.einsum("nhts,nhsd->nhtd", weights, v)
