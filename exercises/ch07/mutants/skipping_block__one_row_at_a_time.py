# must trigger: Call it once, with all survivors together
def skipping_block(x, f, p, training=True, generator=None):
    if not training or p == 0:
        return x + f(x)
    coins = torch.empty(len(x)).bernoulli_(1 - p, generator=generator)
    rows = [x[i : i + 1] + f(x[i : i + 1]) / (1 - p) if coins[i] else x[i : i + 1] for i in range(len(x))]
    return torch.cat(rows)
