# must trigger: are not independent
def channel_dropout(x, p, training=True, generator=None):
    if not training:
        return x
    if p == 1:
        return torch.zeros_like(x)
    spatial = [1] * (x.ndim - 2)
    order = torch.rand(x.shape[:2], generator=generator).argsort(1).argsort(1)
    mask = (order >= round(p * x.shape[1])).to(x.dtype).view(*x.shape[:2], *spatial)
    return x * mask / (1 - p)
