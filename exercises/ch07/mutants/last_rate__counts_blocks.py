# must trigger: you count blocks
def last_rate(costs, saving):
    return saving * len(costs) / sum(l / len(costs) for l in range(1, len(costs) + 1))
