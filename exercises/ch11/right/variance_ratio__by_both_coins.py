def variance_ratio(mean, variance, p):
    k = torch.tensor(1 - p, dtype=torch.float64)
    # Law of total variance: within a fate of the coin, and between the two fates.
    within = k * variance / k**2
    between = k * (mean / k - mean) ** 2 + (1 - k) * mean**2
    return variance / (within + between)
