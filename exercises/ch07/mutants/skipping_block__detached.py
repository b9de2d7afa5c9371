# must trigger: the gradient at x must be 1 through the shortcut
def skipping_block(x, f, p, training=True, generator=None):
    if not training:
        return x + f(x)
    numbers = torch.empty(len(x)).bernoulli_(1 - p, generator=generator).nonzero().squeeze(1)
    return x.index_add(0, numbers, f(x[numbers].detach()) / (1 - p)) if len(numbers) else x
