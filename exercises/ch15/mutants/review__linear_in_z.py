# must trigger: n grows with the square of z
def review(before, after, n):
    a, b = before / 100, after / 100
    s = a * (1 - a) + b * (1 - b)
    z = (a - b) / math.sqrt(s / n)
    return z, math.ceil(n * 1.96 / abs(z))
