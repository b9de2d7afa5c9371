def layer_ratio(weight, mean, variance, correlation, p):
    a = float(weight.sum() ** 2 / (weight**2).sum())
    shared = correlation * variance * (a - 1)
    return (variance + shared) / ((mean**2 + variance) / (1 - p) - mean**2 + shared)
