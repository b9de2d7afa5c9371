def exact_gamma(height, width, p, block_size):
    def along(length):
        return [sum(i - block_size < j <= i for j in range(length - block_size + 1)) for i in range(length)]

    over = [a * b for a in along(height) for b in along(width)]
    gamma = 0.0
    for _ in range(100):
        kept = sum((1 - gamma) ** n for n in over) / len(over)
        slope = sum(n * (1 - gamma) ** (n - 1) for n in over) / len(over)
        gamma += (kept - (1 - p)) / slope
    return gamma
