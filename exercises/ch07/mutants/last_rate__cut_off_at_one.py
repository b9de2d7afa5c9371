# must trigger: Raise a ValueError when the rate would be above 1
def last_rate(costs, saving):
    weights = sum(cost * l / len(costs) for l, cost in enumerate(costs, start=1))
    return min(saving * sum(costs) / weights, 1.0)
