# must trigger: places are dropped from all channels
def channel_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    if p == 1:
        return torch.zeros_like(x)
    mask = x.new_empty((len(x), 1, *x.shape[2:])).bernoulli_(1 - p, generator=generator)
    return x * mask / (1 - p)
