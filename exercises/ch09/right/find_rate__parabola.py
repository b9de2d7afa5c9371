import numpy as np


def find_rate(lab):
    rates = np.linspace(0.1, 0.85, 10)
    means = [np.mean([lab.validation(float(p), seed) for seed in (3, 4, 5)]) for p in rates]
    bent, slope, _ = np.polyfit(rates, means, 2)
    return np.clip(-slope / (2 * bent), 0, 0.95)
