# must trigger: nothing is scaled in training
def inverted_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    return x * torch.empty_like(x).bernoulli_(1 - p, generator=generator)
