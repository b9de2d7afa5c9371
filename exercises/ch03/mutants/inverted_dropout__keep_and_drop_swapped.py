# must trigger: you keep with probability p
def inverted_dropout(x, p, training=True, generator=None):
    if not training or p == 0:
        return x
    return x * torch.empty_like(x).bernoulli_(p, generator=generator) / p
