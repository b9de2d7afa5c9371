# must trigger: You are to save it
def last_rate(costs, saving):
    weights = sum(cost * l / len(costs) for l, cost in enumerate(costs, start=1))
    return (1 - saving) * sum(costs) / weights
