# must trigger: as a pair with itself
def layer_ratio(weight, mean, variance, correlation, p):
    squares = (weight**2).sum()
    pairs = weight.sum() ** 2
    covariances = correlation * variance * pairs
    alone = (mean**2 + variance) / (1 - p) - mean**2
    return (squares * variance + covariances) / (squares * alone + covariances)
