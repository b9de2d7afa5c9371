# must trigger: a sample survives as a whole or not at all
def drop_path(y, p, training=True, mode="row", generator=None):
    if not training:
        return y
    if p == 1:
        return y * 0
    shape = y.shape[:2] if mode == "row" else (1, 1)
    survivors = torch.empty(shape, dtype=y.dtype).bernoulli_(1 - p, generator=generator)
    return y * survivors.view(*shape, *[1] * (y.ndim - 2)) / (1 - p)
