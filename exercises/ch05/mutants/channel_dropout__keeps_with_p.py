# must trigger: you keep with probability p
def channel_dropout(x, p, training=True, generator=None):
    if not training or p == 0:
        return x
    mask = x.new_empty(*x.shape[:2], *[1] * (x.ndim - 2)).bernoulli_(p, generator=generator)
    return x * mask / p
