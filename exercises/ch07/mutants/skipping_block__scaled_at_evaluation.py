# must trigger: you scale the branch by 1 - p
def skipping_block(x, f, p, training=True, generator=None):
    if not training:
        return x + (1 - p) * f(x)
    numbers = torch.empty(len(x)).bernoulli_(1 - p, generator=generator).nonzero().squeeze(1)
    return x.index_add(0, numbers, f(x[numbers]) / (1 - p)) if len(numbers) else x
