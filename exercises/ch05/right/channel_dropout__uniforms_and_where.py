def channel_dropout(x, p, training=True, generator=None):
    if not training or p == 0:
        return x
    u = torch.rand(x.shape[:2], dtype=torch.float64, generator=generator)
    kept = (u >= p).reshape(*u.shape, *[1] * (x.ndim - 2))
    return torch.where(kept, x / max(1 - p, 1e-9), torch.zeros_like(x))
