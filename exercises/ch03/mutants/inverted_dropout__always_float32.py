# must trigger: the output must have the dtype of x
def inverted_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    if p == 1:
        return x * 0
    return x.float() * torch.empty(x.shape, device=x.device).bernoulli_(1 - p, generator=generator) / (1 - p)
