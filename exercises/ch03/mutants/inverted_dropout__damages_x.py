# must trigger: changes its input in place
def inverted_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    x *= torch.empty_like(x).bernoulli_(1 - p, generator=generator)
    return x / (1 - p) if p < 1 else x
