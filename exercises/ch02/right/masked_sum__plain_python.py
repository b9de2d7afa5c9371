from itertools import combinations


def by_enumeration(x, p):
    values = [float(v) for v in x]
    outcomes = []
    for a in range(len(values) + 1):
        for kept in combinations(values, a):
            outcomes.append(((1 - p) ** a * p ** (len(values) - a), sum(kept)))
    mean = sum(chance * total for chance, total in outcomes)
    return mean, sum(chance * (total - mean) ** 2 for chance, total in outcomes) ** 0.5


def by_formula(x, p):
    k = 1 - p
    return k * float(x.sum()), (p * k) ** 0.5 * float(x.norm())
