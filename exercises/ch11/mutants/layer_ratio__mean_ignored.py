# must trigger: you leave out the mean
def layer_ratio(weight, mean, variance, correlation, p):
    squares = (weight**2).sum()
    pairs = weight.sum() ** 2 - squares
    covariances = correlation * variance * pairs
    alone = variance / (1 - p)
    return (squares * variance + covariances) / (squares * alone + covariances)
