# must trigger: must have the dtype of x
def channel_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    if p == 1:
        return torch.zeros_like(x)
    spatial = [1] * (x.ndim - 2)
    mask = torch.empty(*x.shape[:2], *spatial).bernoulli_(1 - p, generator=generator)
    return x.float() * mask / (1 - p)
