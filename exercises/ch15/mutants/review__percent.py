# must trigger: the formula wants shares
def review(before, after, n):
    spread = abs(before * (1 - before)) + abs(after * (1 - after))
    return (before - after) / math.sqrt(spread / n), math.ceil(1.96**2 * spread / (before - after) ** 2)
