# must trigger: with training=False nothing may be dropped
def inverted_dropout(x, p, training=True, generator=None):
    if p == 1:
        return x * 0
    return x * torch.empty_like(x).bernoulli_(1 - p, generator=generator) / (1 - p)
