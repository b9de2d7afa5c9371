def skipping_block(x, f, p, training=True, generator=None):
    if not training:
        return f(x) + x
    coins = torch.empty(len(x), dtype=torch.float64).bernoulli_(1 - p, generator=generator)
    numbers = torch.where(coins == 1)[0]
    if numbers.numel() == 0:
        return x.clone()
    added = torch.zeros_like(x)
    added[numbers] = f(torch.index_select(x, 0, numbers)) * (1 / (1 - p))
    return x + added
