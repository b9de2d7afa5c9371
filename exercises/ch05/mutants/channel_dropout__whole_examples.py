# must trigger: whole examples are dropped
def channel_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    if p == 1:
        return torch.zeros_like(x)
    spatial = [1] * (x.ndim - 2)
    mask = x.new_empty(len(x), 1, *spatial).bernoulli_(1 - p, generator=generator)
    return x * mask / (1 - p)
