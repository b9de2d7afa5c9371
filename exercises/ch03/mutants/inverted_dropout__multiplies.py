# must trigger: you multiply the survivors by 1 - p
def inverted_dropout(x, p, training=True, generator=None):
    if not training or p == 0:
        return x
    return x * torch.empty_like(x).bernoulli_(1 - p, generator=generator) * (1 - p)
