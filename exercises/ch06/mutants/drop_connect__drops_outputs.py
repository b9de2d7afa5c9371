# must trigger: that drops whole outputs
def drop_connect(x, weight, bias, p, training=True, generator=None):
    if not training:
        return x @ weight.T + bias
    if p == 1:
        return x @ (weight * 0).T + bias
    product = x @ weight.T
    return product * torch.empty_like(product).bernoulli_(1 - p, generator=generator) / (1 - p) + bias
