def dropout_mask(x, p, generator=None):
    u = torch.rand(x.shape, generator=generator, dtype=torch.float64)
    return (u >= p).to(x)
