# must trigger: Look at more rates
def find_rate(lab):
    return max((0.2, 0.5), key=lambda p: sum(lab.validation(p, seed) for seed in range(10)))
