# must trigger: the expected saving is the sum of cost times rate
def last_rate(costs, saving):
    weights = sum(cost * l / len(costs) for l, cost in enumerate(reversed(costs), start=1))
    return saving * sum(costs) / weights
