# must trigger: Do not compute what is dropped
def skipping_block(x, f, p, training=True, generator=None):
    if not training:
        return x + f(x)
    coins = torch.empty(len(x), dtype=x.dtype).bernoulli_(1 - p, generator=generator)
    return x + f(x) * coins.view(len(x), *[1] * (x.ndim - 1)) / max(1 - p, 1e-6)
