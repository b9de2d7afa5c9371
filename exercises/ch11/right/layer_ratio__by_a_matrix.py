def layer_ratio(weight, mean, variance, correlation, p):
    w = weight.double()
    size = len(w)
    covariance = torch.full((size, size), correlation * variance, dtype=torch.float64)
    covariance.fill_diagonal_(variance)
    evaluation = w @ covariance @ w
    covariance.diagonal().add_(p / (1 - p) * (mean**2 + variance))
    return evaluation / (w @ covariance @ w)
