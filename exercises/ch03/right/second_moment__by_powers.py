def second_moment(p):
    if not p < 1:
        raise ValueError("nothing survives")
    c = torch.tensor(1.0 - p, dtype=torch.float64).rsqrt()
    return torch.stack([c, c * (1 - p)])
