# must trigger: with training=False you multiply by 1 - p
def drop_path(y, p, training=True, mode="row", generator=None):
    if not training:
        return y * (1 - p)
    if p == 1:
        return y * 0
    coins = len(y) if mode == "row" else 1
    survivors = torch.empty(coins, dtype=y.dtype).bernoulli_(1 - p, generator=generator)
    return y * survivors.view(coins, *[1] * (y.ndim - 1)) / (1 - p)
