# must trigger: you dropped the shortcut, too
def skipping_block(x, f, p, training=True, generator=None):
    if not training:
        return x + f(x)
    numbers = torch.empty(len(x)).bernoulli_(1 - p, generator=generator).nonzero().squeeze(1)
    out = torch.zeros_like(x)
    if len(numbers):
        out[numbers] = x[numbers] + f(x[numbers]) / (1 - p)
    return out
