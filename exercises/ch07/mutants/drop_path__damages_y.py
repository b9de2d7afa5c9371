# must trigger: changes its input in place
def drop_path(y, p, training=True, mode="row", generator=None):
    if not training:
        return y
    if p == 1:
        return y * 0
    coins = len(y) if mode == "row" else 1
    survivors = torch.empty(coins, dtype=y.dtype).bernoulli_(1 - p, generator=generator)
    y *= survivors.view(coins, *[1] * (y.ndim - 1)) / (1 - p)
    return y
