def inverted_dropout(x, p, training=True, generator=None):
    if not training or p == 0:
        return x.clone()
    dropped = torch.rand(x.shape, generator=generator, device=x.device) < p
    return torch.where(dropped, torch.zeros_like(x), x / max(1 - p, 1e-6))
