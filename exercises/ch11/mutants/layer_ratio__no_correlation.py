# must trigger: the ratio without correlation
def layer_ratio(weight, mean, variance, correlation, p):
    squares = (weight**2).sum()
    alone = (mean**2 + variance) / (1 - p) - mean**2
    return (squares * variance) / (squares * alone)
