# must trigger: from the generator that you were given
def channel_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    if p == 1:
        return torch.zeros_like(x)
    spatial = [1] * (x.ndim - 2)
    mask = x.new_empty(*x.shape[:2], *spatial).bernoulli_(1 - p)
    return x * mask / (1 - p)
