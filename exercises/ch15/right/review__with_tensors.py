def review(before, after, n):
    e = torch.tensor([before, after], dtype=torch.float64) / 100
    error_of_one = (e * (1 - e)).sum().sqrt()
    z_of_one = (e[0] - e[1]) / error_of_one
    return torch.stack([z_of_one * n**0.5, ((1.96 / z_of_one) ** 2).ceil()])
