# must trigger: that is where z would be 1
def review(before, after, n):
    a, b = before / 100, after / 100
    s = a * (1 - a) + b * (1 - b)
    return (a - b) / math.sqrt(s / n), math.ceil(s / (a - b) ** 2)
