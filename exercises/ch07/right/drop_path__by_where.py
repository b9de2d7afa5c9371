def drop_path(y, p, training=True, mode="row", generator=None):
    if not training or p == 0:
        return y
    dropped = torch.rand((len(y) if mode == "row" else 1,), generator=generator) < p
    dropped = dropped.reshape(-1, *(1 for _ in y.shape[1:]))
    return torch.where(dropped, torch.zeros_like(y), y / (1 - p) if p < 1 else y * 0)
