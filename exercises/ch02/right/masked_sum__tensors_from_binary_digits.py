def by_enumeration(x, p):
    n = x.numel()
    masks = (torch.arange(2**n)[:, None] >> torch.arange(n)) & 1
    chance = torch.where(masks.bool(), 1 - p, p).double().prod(1)
    total = (masks * x.double()).sum(1)
    mean = chance @ total
    return torch.stack([mean, (chance @ (total - mean) ** 2) ** 0.5])


def by_formula(x, p):
    variances = x.double().square() * (p - p**2)
    return x.double().sum() - p * x.double().sum(), variances.sum().sqrt()
