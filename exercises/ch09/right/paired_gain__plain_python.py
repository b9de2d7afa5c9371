import statistics


def paired_gain(with_dropout, without):
    gains = [float(a) - float(b) for a, b in zip(with_dropout, without)]
    return [statistics.mean(gains), statistics.stdev(gains) / len(gains) ** 0.5]
