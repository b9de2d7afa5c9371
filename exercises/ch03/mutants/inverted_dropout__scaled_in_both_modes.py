# must trigger: at evaluation you divide by 1 - p
def inverted_dropout(x, p, training=True, generator=None):
    scaled = x / (1 - p) if p < 1 else x * 0
    if not training:
        return scaled
    return scaled * torch.empty_like(x).bernoulli_(1 - p, generator=generator)
