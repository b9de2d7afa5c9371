# must trigger: the gradient must be mask / (1 - p)
def inverted_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    if p == 1:
        return x * 0
    y = x.detach() * torch.empty_like(x).bernoulli_(1 - p, generator=generator) / (1 - p)
    return x + (y - x.detach())
