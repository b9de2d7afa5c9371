# must trigger: raised
from itertools import product


def by_enumeration(x, p):
    if len(x) > 20:
        raise MemoryError(f"2**{len(x)} masks do not fit")
    mean = square = 0.0
    for mask in product((0, 1), repeat=len(x)):
        chance = (1 - p) ** sum(mask) * p ** (len(x) - sum(mask))
        total = sum(m * float(v) for m, v in zip(mask, x))
        mean += chance * total
        square += chance * total**2
    return mean, max(square - mean**2, 0.0) ** 0.5


by_formula = by_enumeration
