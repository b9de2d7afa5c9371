# must trigger: changes its input in place
def channel_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    if p == 1:
        return torch.zeros_like(x)
    spatial = [1] * (x.ndim - 2)
    x *= x.new_empty(*x.shape[:2], *spatial).bernoulli_(1 - p, generator=generator)
    return x / (1 - p)
