# must trigger: you square the sum
def noise_variance(w, h, p):
    return 0.0 if p == 1 else float(p / (1 - p) * (w * h).sum() ** 2)
