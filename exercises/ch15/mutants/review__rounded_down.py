# must trigger: round up
def review(before, after, n):
    a, b = before / 100, after / 100
    s = a * (1 - a) + b * (1 - b)
    return (a - b) / math.sqrt(s / n), int(1.96**2 * s / (a - b) ** 2)
