# must trigger: the mask must come from the generator
def drop_connect(x, weight, bias, p, training=True, generator=None):
    if not training:
        return x @ weight.T + bias
    if p == 1:
        return x @ (weight * 0).T + bias
    coins = torch.empty(len(x), *weight.shape, dtype=x.dtype).bernoulli_(1 - p)
    return torch.einsum("noi,ni->no", coins * weight, x) / (1 - p) + bias
