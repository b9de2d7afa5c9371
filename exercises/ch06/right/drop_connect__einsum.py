def drop_connect(x, weight, bias, p, training=True, generator=None):
    if not training or p == 0:
        return torch.nn.functional.linear(x, weight, bias)
    if p == 1:
        return bias.repeat(len(x), 1) + 0 * (x @ weight.T)
    kept = torch.rand(x.shape[0], weight.shape[0], weight.shape[1], generator=generator) >= p
    return torch.einsum("noi,oi,ni->no", kept.to(x.dtype), weight, x).div(1 - p).add(bias)
