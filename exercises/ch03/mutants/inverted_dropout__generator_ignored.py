# must trigger: the mask must come from the generator
def inverted_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    return x * torch.empty_like(x).bernoulli_(1 - p) / (1 - p) if p < 1 else x * 0
