# must trigger: nothing is scaled in training
def drop_path(y, p, training=True, mode="row", generator=None):
    if not training:
        return y
    coins = len(y) if mode == "row" else 1
    survivors = torch.empty(coins, dtype=y.dtype).bernoulli_(1 - p, generator=generator)
    return y * survivors.view(coins, *[1] * (y.ndim - 1))
