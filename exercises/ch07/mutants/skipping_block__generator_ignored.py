# must trigger: the mask must come from the generator
def skipping_block(x, f, p, training=True, generator=None):
    if not training:
        return x + f(x)
    numbers = torch.empty(len(x)).bernoulli_(1 - p).nonzero().squeeze(1)
    return x.index_add(0, numbers, f(x[numbers]) / (1 - p)) if len(numbers) else x
