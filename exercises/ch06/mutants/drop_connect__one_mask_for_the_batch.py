# must trigger: one mask serves the whole batch
def drop_connect(x, weight, bias, p, training=True, generator=None):
    if not training:
        return x @ weight.T + bias
    if p == 1:
        return x @ (weight * 0).T + bias
    coins = torch.empty_like(weight).bernoulli_(1 - p, generator=generator)
    return x @ (coins * weight).T / (1 - p) + bias
