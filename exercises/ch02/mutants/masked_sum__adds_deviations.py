# must trigger: standard deviations of independent terms do not add
def by_enumeration(x, p):
    return by_formula(x, p)


def by_formula(x, p):
    return (1 - p) * float(x.sum()), (p * (1 - p)) ** 0.5 * float(x.abs().sum())
