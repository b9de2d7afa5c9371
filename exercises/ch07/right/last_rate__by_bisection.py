def last_rate(costs, saving):
    def saved(p_last):
        return sum(c * p_last * (i + 1) / len(costs) for i, c in enumerate(costs)) / sum(costs)

    if saved(1.0) < saving:
        raise ValueError("out of reach")
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if saved(middle) < saving else (low, middle)
    return low
