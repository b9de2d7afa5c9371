# must trigger: raised ZeroDivisionError
def noise_variance(w, h, p):
    return float(p / (1 - p) * ((w * h) ** 2).sum())
