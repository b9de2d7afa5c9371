# must trigger: p and k are mixed up
def noise_variance(w, h, p):
    return float((1 - p) / max(p, 1e-12) * ((w * h) ** 2).sum())
