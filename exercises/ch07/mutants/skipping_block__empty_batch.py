# must trigger: f was called with an empty batch
def skipping_block(x, f, p, training=True, generator=None):
    if not training:
        return x + f(x)
    numbers = torch.empty(len(x)).bernoulli_(1 - p, generator=generator).nonzero().squeeze(1)
    return x.index_add(0, numbers, f(x[numbers]) / max(1 - p, 1e-6))
