# must trigger: the budget is spent
def find_rate(lab):
    rates = [step / 20 for step in range(20)]
    return max(rates, key=lambda p: sum(lab.validation(p, seed) for seed in range(5)))
