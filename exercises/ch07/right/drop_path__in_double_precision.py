def drop_path(y, p, training=True, mode="row", generator=None):
    if not training:
        return y
    rows = y.shape[0] if mode == "row" else 1
    coins = torch.empty([rows] + [1] * (y.dim() - 1), dtype=torch.float64).bernoulli_(1 - p, generator=generator)
    if p < 1:
        coins /= 1 - p
    return (y.double() * coins).to(y.dtype)
