# must trigger: no gradient flows
def inverted_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    if p == 1:
        return x * 0
    return (x * torch.empty_like(x).bernoulli_(1 - p, generator=generator) / (1 - p)).detach()
