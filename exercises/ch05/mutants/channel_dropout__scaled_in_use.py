# must trigger: with training=False the result must be x itself
def channel_dropout(x, p, training=True, generator=None):
    if not training:
        return (1 - p) * x
    mask = x.new_empty(*x.shape[:2], *[1] * (x.ndim - 2)).bernoulli_(1 - p, generator=generator)
    return x * mask
