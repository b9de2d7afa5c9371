def review(before, after, n):
    variance = (before * (100 - before) + after * (100 - after)) / n
    z = (before - after) / variance**0.5
    return z, math.ceil(n * (1.96 / z) ** 2 - 1e-9)
