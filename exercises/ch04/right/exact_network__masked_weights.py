rows = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(6, 2)


def exact_network(x, mask):
    features = torch.cat([x**2, x[:, :2].sin() * 3], dim=1)
    return torch.stack([features @ (mask * column) for column in rows.T], dim=1)
