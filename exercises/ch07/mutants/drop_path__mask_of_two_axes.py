# must trigger: raised RuntimeError
def drop_path(y, p, training=True, mode="row", generator=None):
    if not training:
        return y
    if p == 1:
        return y * 0
    shape = (len(y), 1) if mode == "row" else (1, 1)
    survivors = torch.empty(shape, dtype=y.dtype).bernoulli_(1 - p, generator=generator)
    return y * survivors / (1 - p)
