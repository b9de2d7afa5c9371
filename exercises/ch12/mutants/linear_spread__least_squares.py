# must trigger: the weights of plain least squares
def linear_spread(X, y, x, p):
    w = torch.linalg.solve(X.T @ X, X.T @ y)
    return p / (1 - p) * (w * x).square().sum()
