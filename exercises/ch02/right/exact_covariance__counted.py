from itertools import combinations


def exact_covariance(n, kept):
    if n > 10:
        return torch.tensor(kept * (kept - n), dtype=torch.float64) / (n * n * (n - 1))
    masks = torch.tensor([[float(i in chosen) for i in range(n)] for chosen in combinations(range(n), kept)]).double()
    return (masks[:, 0] * masks[:, 1]).mean() - masks[:, 0].mean() * masks[:, 1].mean()
