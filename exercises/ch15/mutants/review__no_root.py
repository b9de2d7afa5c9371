# must trigger: its standard error is the root
def review(before, after, n):
    a, b = before / 100, after / 100
    s = a * (1 - a) + b * (1 - b)
    return (a - b) / (s / n), math.ceil(1.96**2 * s / (a - b) ** 2)
