# must trigger: a sample survives as a whole or not at all
def drop_path(y, p, training=True, mode="row", generator=None):
    if not training:
        return y
    if p == 1:
        return y * 0
    shape = y.shape if mode == "row" else [1] * y.ndim
    survivors = torch.empty(shape, dtype=y.dtype).bernoulli_(1 - p, generator=generator)
    return y * survivors / (1 - p)
