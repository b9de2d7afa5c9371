# must trigger: raised
def channel_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    if p == 1:
        return torch.zeros_like(x)
    mask = x.new_empty(*x.shape[:2], 1, 1).bernoulli_(1 - p, generator=generator)
    assert x.ndim == 4
    return x * mask / (1 - p)
