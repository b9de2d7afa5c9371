# must trigger: the activations h are missing
def noise_variance(w, h, p):
    return 0.0 if p == 1 else float(p / (1 - p) * (w**2).sum())
