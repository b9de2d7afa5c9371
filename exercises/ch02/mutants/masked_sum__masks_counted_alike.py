# must trigger: you count every mask alike
from itertools import product


def by_enumeration(x, p):
    sums = torch.tensor([sum(m * float(v) for m, v in zip(mask, x)) for mask in product((0, 1), repeat=len(x))])
    return float(sums.mean()), float(sums.std(correction=0))


def by_formula(x, p):
    return float((1 - p) * x.sum()), float((p * (1 - p) * (x * x).sum()).sqrt())
