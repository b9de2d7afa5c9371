# must trigger: counts the blocks from 1
def last_rate(costs, saving):
    weights = sum(cost * l / len(costs) for l, cost in enumerate(costs))
    return saving * sum(costs) / weights
