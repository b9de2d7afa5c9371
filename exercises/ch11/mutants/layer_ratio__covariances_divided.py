# must trigger: you divide the covariances by k as well
def layer_ratio(weight, mean, variance, correlation, p):
    squares = (weight**2).sum()
    pairs = weight.sum() ** 2 - squares
    covariances = correlation * variance * pairs
    alone = (mean**2 + variance) / (1 - p) - mean**2
    return (squares * variance + covariances) / (squares * alone + covariances / (1 - p))
