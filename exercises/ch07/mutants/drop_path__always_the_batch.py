# must trigger: every sample throws a coin of its own
def drop_path(y, p, training=True, mode="row", generator=None):
    if not training:
        return y
    if p == 1:
        return y * 0
    return y * torch.empty([1] * y.ndim, dtype=y.dtype).bernoulli_(1 - p, generator=generator) / (1 - p)
