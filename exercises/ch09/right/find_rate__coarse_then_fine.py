def find_rate(lab):
    def mean(p, seeds):
        return sum(lab.validation(p, seed) for seed in seeds) / len(seeds)

    coarse = [0.15, 0.35, 0.55, 0.75]
    first = max(coarse, key=lambda p: mean(p, range(3)))
    near = [first + step for step in (-0.12, -0.06, 0.0, 0.06, 0.12)]
    return max(near, key=lambda p: mean(p, range(3)))
