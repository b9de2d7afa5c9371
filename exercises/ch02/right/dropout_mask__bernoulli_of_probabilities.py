def dropout_mask(x, p, generator=None):
    chances = torch.full(x.shape, 1.0 - p, device=x.device)
    return torch.bernoulli(chances, generator=generator).type_as(x)
