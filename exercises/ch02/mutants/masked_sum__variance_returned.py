# must trigger: that is the variance
def by_formula(x, p):
    return float((1 - p) * x.sum()), float(p * (1 - p) * (x * x).sum())


def by_enumeration(x, p):
    return by_formula(x, p)
