# must trigger: that is the standard deviation
def linear_spread(X, y, x, p):
    ratio = p / (1 - p)
    gram = X.T @ X
    w = torch.linalg.solve(gram + ratio * gram.diag().diag(), X.T @ y)
    return (ratio * (w * x).square().sum()).sqrt()
