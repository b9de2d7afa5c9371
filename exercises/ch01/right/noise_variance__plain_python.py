def noise_variance(w, h, p):
    k = 1 - p
    factor = p * k / k**2 if k else 0.0
    return sum((float(a) * float(b)) ** 2 * factor for a, b in zip(w, h))
