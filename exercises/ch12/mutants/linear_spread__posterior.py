# must trigger: the variance of a posterior
def linear_spread(X, y, x, p):
    return x @ torch.linalg.solve(X.T @ X, x)
