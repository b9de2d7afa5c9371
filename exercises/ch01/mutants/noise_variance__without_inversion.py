# must trigger: dividing by k divides a variance by k squared
def noise_variance(w, h, p):
    return float(p * (1 - p) * ((w * h) ** 2).sum())
