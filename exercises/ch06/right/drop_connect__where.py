def drop_connect(x, weight, bias, p, training=True, generator=None):
    products = x[:, None, :] * weight
    if training:
        dropped = torch.rand(products.shape, dtype=torch.float64, generator=generator) < p
        scale = 1 / (1 - p) if p < 1 else 1.0
        products = torch.where(dropped, torch.zeros_like(products), products * scale)
    return products.sum(-1) + bias
