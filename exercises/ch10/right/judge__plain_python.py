def judge(train, site, expected):
    d = [train(site, seed) - train("none", seed) for seed in range(20)]
    mean = sum(d) / len(d)
    error = (sum((x - mean) ** 2 for x in d) / (len(d) - 1) / len(d)) ** 0.5
    t = (1 if expected == "+" else -1) * mean / error
    return mean, error, "as expected" if t > 2 else "opposite" if t < -2 else "undecided"
