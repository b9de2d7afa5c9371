# must trigger: this is the spread of the inverted scheme
def by_formula(x, p):
    k = max(1 - p, 1e-12)
    return float(k * x.sum()), float((p / k * (x * x).sum()).sqrt())


def by_enumeration(x, p):
    return by_formula(x, p)
