# must trigger: so you compared luck
def find_rate(lab):
    seeds = iter(range(30))
    rates = [step / 10 for step in range(10)]
    return max(rates, key=lambda p: sum(lab.validation(p, next(seeds)) for _ in range(3)))
