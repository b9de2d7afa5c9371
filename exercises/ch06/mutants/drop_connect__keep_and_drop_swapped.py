# must trigger: you keep with probability p
def drop_connect(x, weight, bias, p, training=True, generator=None):
    if not training or p == 0:
        return x @ weight.T + bias
    if p == 1:
        return bias.expand(len(x), -1)
    coins = torch.rand(len(x), *weight.shape, dtype=x.dtype, generator=generator) < p
    return torch.einsum("noi,ni->no", coins * weight, x) / (1 - p) + bias
