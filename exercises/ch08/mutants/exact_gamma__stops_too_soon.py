# must trigger: search longer
def exact_gamma(height, width, p, block_size):
    k = block_size
    places = torch.ones(1, 1, height - k + 1, width - k + 1, dtype=torch.float64)
    over = F.avg_pool2d(F.pad(places, [k - 1] * 4), k, stride=1) * k**2
    low, high = 0.0, 1.0
    for _ in range(14):
        middle = (low + high) / 2
        if float((1 - (1 - middle) ** over).mean()) < p:
            low = middle
        else:
            high = middle
    return high
