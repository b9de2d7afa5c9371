# must trigger: calls the ready-made companion.uncertainty
from companion.uncertainty.monte_carlo import _entropy


def split_entropy(passes):
    total, expected = _entropy(passes.mean(0), -1), _entropy(passes, -1).mean(0)
    return total, expected, total - expected
