# must trigger: are not all scaled by the same factor
def skipping_block(x, f, p, training=True, generator=None):
    if not training:
        return x + f(x)
    numbers = torch.empty(len(x)).bernoulli_(1 - p, generator=generator).nonzero().squeeze(1)
    if len(numbers) == 0:
        return x
    return x.index_copy(0, numbers, (x[numbers] + f(x[numbers])) / (1 - p) if p else x + f(x))
