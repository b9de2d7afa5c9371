# must trigger: all units of an example share one coin
def inverted_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    if p == 1:
        return x * 0
    kept = torch.rand(len(x), *[1] * (x.ndim - 1), generator=generator, device=x.device) >= p
    return x * kept.to(x) / (1 - p)
