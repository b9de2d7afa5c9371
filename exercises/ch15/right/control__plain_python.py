def control(lab):
    lab.predict("+")
    without = {seed: lab.train(0, seed) for seed in lab.seeds}
    gains = [lab.train(0.1, seed) - without[seed] for seed in lab.seeds]
    mean = sum(gains) / 12
    error = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / 11 / 12)
    z = mean / error
    return "+" if z > 2 else "-" if z < -2 else "0"
