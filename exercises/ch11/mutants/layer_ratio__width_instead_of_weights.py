# must trigger: as if all weights were equal
def layer_ratio(weight, mean, variance, correlation, p):
    squares = (weight**2).sum()
    pairs = squares * (len(weight) - 1)
    covariances = correlation * variance * pairs
    alone = (mean**2 + variance) / (1 - p) - mean**2
    return (squares * variance + covariances) / (squares * alone + covariances)
