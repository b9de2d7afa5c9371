# must trigger: Multiplying by zero afterwards saves nothing
def skipping_block(x, f, p, training=True, generator=None):
    if not training:
        return x + f(x)
    if p == 1:
        return x
    coins = torch.empty(len(x), dtype=x.dtype).bernoulli_(1 - p, generator=generator)
    return x + f(x) * coins.view(len(x), *[1] * (x.ndim - 1)) / (1 - p)
