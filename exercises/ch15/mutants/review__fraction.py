# must trigger: the smallest whole number
def review(before, after, n):
    a, b = before / 100, after / 100
    s = a * (1 - a) + b * (1 - b)
    return (a - b) / math.sqrt(s / n), 1.96**2 * s / (a - b) ** 2
