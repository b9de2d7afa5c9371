# must trigger: here p is the probability of dropping
def drop_path(y, p, training=True, mode="row", generator=None):
    if not training or p == 0:
        return y
    coins = len(y) if mode == "row" else 1
    survivors = torch.empty(coins, dtype=y.dtype).bernoulli_(p, generator=generator)
    return y * survivors.view(coins, *[1] * (y.ndim - 1)) / max(1 - p, 1e-3) * (1 if p < 1 else 1e-3)
