# must trigger: Do not fix how many survive
def drop_path(y, p, training=True, mode="row", generator=None):
    if not training or p == 0:
        return y
    if p == 1:
        return y * 0
    survivors = torch.zeros(len(y), dtype=y.dtype)
    if mode == "row":
        survivors[torch.randperm(len(y), generator=generator)[: int(len(y) * (1 - p))]] = 1
    else:
        survivors += torch.empty(1, dtype=y.dtype).bernoulli_(1 - p, generator=generator)
    return y * survivors.view(len(y), *[1] * (y.ndim - 1)) / (1 - p)
