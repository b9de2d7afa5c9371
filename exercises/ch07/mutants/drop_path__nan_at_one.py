# must trigger: 0 divided by 0
def drop_path(y, p, training=True, mode="row", generator=None):
    if not training:
        return y
    coins = len(y) if mode == "row" else 1
    survivors = torch.empty(coins, dtype=y.dtype).bernoulli_(1 - p, generator=generator)
    return y * (survivors / (1 - p)).view(coins, *[1] * (y.ndim - 1))
