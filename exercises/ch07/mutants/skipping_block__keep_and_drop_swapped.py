# must trigger: here p is the probability of dropping
def skipping_block(x, f, p, training=True, generator=None):
    if not training or p == 0:
        return x + f(x)
    if p == 1:
        return x
    numbers = torch.empty(len(x)).bernoulli_(p, generator=generator).nonzero().squeeze(1)
    return x.index_add(0, numbers, f(x[numbers]) / (1 - p)) if len(numbers) else x
