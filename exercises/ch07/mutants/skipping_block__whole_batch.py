# must trigger: all samples of a batch had the same fate
def skipping_block(x, f, p, training=True, generator=None):
    if not training:
        return x + f(x)
    if torch.rand((), generator=generator) < p:
        return x
    return x + f(x) / (1 - p)
