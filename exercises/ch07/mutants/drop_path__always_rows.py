# must trigger: one coin decides about all samples together
def drop_path(y, p, training=True, mode="row", generator=None):
    if not training:
        return y
    if p == 1:
        return y * 0
    shape = (len(y), *[1] * (y.ndim - 1))
    return y * torch.empty(shape, dtype=y.dtype).bernoulli_(1 - p, generator=generator) / (1 - p)
