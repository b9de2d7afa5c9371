# must trigger: you add p/k times the identity
def linear_spread(X, y, x, p):
    ratio = p / (1 - p)
    w = torch.linalg.solve(X.T @ X + ratio * torch.eye(len(x), dtype=X.dtype), X.T @ y)
    return ratio * (w * x).square().sum()
