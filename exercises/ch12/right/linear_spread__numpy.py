def linear_spread(X, y, x, p):
    import numpy as np

    X, y, x = (np.asarray(values, dtype=float) for values in (X, y, x))
    gram = X.T @ X / len(X)
    penalty = p / (1 - p) * np.diag(np.diag(gram))
    w = np.linalg.inv(gram + penalty) @ (X.T @ y / len(X))
    return np.sum((w * x) ** 2) * (1 / (1 - p) - 1)
