# must trigger: that is dropout of the inputs
def drop_connect(x, weight, bias, p, training=True, generator=None):
    if not training:
        return x @ weight.T + bias
    if p == 1:
        return x @ (weight * 0).T + bias
    return (x * torch.empty_like(x).bernoulli_(1 - p, generator=generator)) @ weight.T / (1 - p) + bias
