# must trigger: the test set was opened
def find_rate(lab):
    rates = [step / 10 for step in range(1, 10)]
    return max(rates, key=lambda p: sum(lab.test(p, seed) for seed in range(3)))
