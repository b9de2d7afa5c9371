from itertools import product


def noise_variance(w, h, p):
    if p == 1:
        return torch.tensor(0.0)
    masks = torch.tensor(list(product((0.0, 1.0), repeat=len(w))), dtype=torch.float64)
    chances = torch.where(masks == 1, 1 - p, p).prod(1)
    z = masks @ (w * h).double() / (1 - p)
    return (chances * z**2).sum() - (chances * z).sum() ** 2
