# must trigger: before minus after
def review(before, after, n):
    a, b = before / 100, after / 100
    s = a * (1 - a) + b * (1 - b)
    return (b - a) / math.sqrt(s / n), math.ceil(1.96**2 * s / (a - b) ** 2)
