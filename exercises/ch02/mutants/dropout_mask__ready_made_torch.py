# must trigger: calls the ready-made torch.nn.functional.dropout
from torch.nn.functional import dropout


def dropout_mask(x, p, generator=None):
    return (dropout(torch.ones_like(x), p) != 0).to(x)
