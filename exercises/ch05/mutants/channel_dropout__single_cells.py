# must trigger: do not share their fate
def channel_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    if p == 1:
        return torch.zeros_like(x)
    mask = x.new_empty(x.shape).bernoulli_(1 - p, generator=generator)
    return x * mask / (1 - p)
