def channel_dropout(x, p, training=True, generator=None):
    if not training:
        return x.clone()
    flat = x.flatten(2).flatten(0, 1)
    keep = torch.full((len(flat),), 1 - p, dtype=torch.float64)
    coins = torch.bernoulli(keep, generator=generator).bool()
    y = torch.zeros_like(flat)
    if p < 1:
        y[coins] = flat[coins] / (1 - p)
    return y.view_as(x)
