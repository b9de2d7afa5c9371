# must trigger: the signs of the weights count
def layer_ratio(weight, mean, variance, correlation, p):
    squares = (weight**2).sum()
    pairs = weight.abs().sum() ** 2 - squares
    covariances = correlation * variance * pairs
    alone = (mean**2 + variance) / (1 - p) - mean**2
    return (squares * variance + covariances) / (squares * alone + covariances)
