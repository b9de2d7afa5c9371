# must trigger: no gradient flows
def drop_connect(x, weight, bias, p, training=True, generator=None):
    if not training:
        return x @ weight.T + bias
    if p == 1:
        return x @ (weight * 0).T + bias
    coins = torch.empty(len(x), *weight.shape, dtype=x.dtype).bernoulli_(1 - p, generator=generator)
    return torch.einsum("noi,ni->no", coins * weight.detach(), x) / (1 - p) + bias
