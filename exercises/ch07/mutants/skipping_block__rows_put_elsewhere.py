# must trigger: added to other samples than those that they came from
def skipping_block(x, f, p, training=True, generator=None):
    if not training or p == 0:
        return x + f(x)
    numbers = torch.empty(len(x)).bernoulli_(1 - p, generator=generator).nonzero().squeeze(1)
    if len(numbers) == 0:
        return x
    return x.index_add(0, numbers.flip(0), f(x[numbers]) / (1 - p))
