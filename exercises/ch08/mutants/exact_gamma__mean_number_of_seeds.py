# must trigger: The mean of a curve is not the curve at the mean
def exact_gamma(height, width, p, block_size):
    k = block_size
    places = torch.ones(1, 1, height - k + 1, width - k + 1, dtype=torch.float64)
    over = F.avg_pool2d(F.pad(places, [k - 1] * 4), k, stride=1) * k**2
    return 1 - (1 - p) ** (1 / float(over.mean()))
