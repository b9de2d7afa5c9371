# must trigger: the variance of m / k is not p
def linear_spread(X, y, x, p):
    ratio = p / (1 - p)
    gram = X.T @ X
    w = torch.linalg.solve(gram + ratio * gram.diag().diag(), X.T @ y)
    return p * (w * x).square().sum()
