def needs_more_steps(train):
    table = {(p, steps): [float(a) for a in train(p, steps)] for p in (0.5, 0.8) for steps in (800, 2400)}

    def interval(one, other):
        d = [a - b for a, b in zip(table[one], table[other])]
        mean = sum(d) / len(d)
        error = (sum((x - mean) ** 2 for x in d) / (len(d) - 1) / len(d)) ** 0.5
        return mean - 2 * error, mean + 2 * error

    return interval((0.8, 2400), (0.8, 800))[0] > 0 and interval((0.8, 2400), (0.5, 2400))[1] >= 0
