# must trigger: That is the scheme of 2012
def inverted_dropout(x, p, training=True, generator=None):
    if not training:
        return x * (1 - p)
    return x * torch.empty_like(x).bernoulli_(1 - p, generator=generator)
