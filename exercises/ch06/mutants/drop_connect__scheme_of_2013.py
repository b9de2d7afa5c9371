# must trigger: at evaluation you multiply by 1 - p
def drop_connect(x, weight, bias, p, training=True, generator=None):
    if not training:
        return (1 - p) * x @ weight.T + bias
    coins = torch.empty(len(x), *weight.shape, dtype=x.dtype).bernoulli_(1 - p, generator=generator)
    return torch.einsum("noi,ni->no", coins * weight, x) + bias
