def skipping_block(x, f, p, training=True, generator=None):
    if not training or p == 0:
        return x + f(x)
    survives = torch.rand(len(x), generator=generator) >= p
    out = x.clone()
    if survives.any():
        out[survives] = out[survives] + f(x[survives]) / (1 - p)
    return out
