# must trigger: masks that are not divided by k
def linear_spread(X, y, x, p):
    ratio = p / (1 - p)
    gram = X.T @ X
    w = torch.linalg.solve(gram + ratio * gram.diag().diag(), X.T @ y)
    return p * (1 - p) * (w * x).square().sum()
