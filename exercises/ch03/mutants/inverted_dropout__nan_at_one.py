# must trigger: 0 divided by 0
def inverted_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    return x * torch.empty_like(x).bernoulli_(1 - p, generator=generator) / (1 - p)
