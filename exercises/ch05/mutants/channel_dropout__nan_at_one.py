# must trigger: NaN: 0 divided by 0
def channel_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    mask = x.new_empty(*x.shape[:2], *[1] * (x.ndim - 2)).bernoulli_(1 - p, generator=generator)
    return x * mask / (1 - p)
