def exact_gamma(height, width, p, block_size):
    k = block_size
    places = torch.ones(1, 1, height - k + 1, width - k + 1, dtype=torch.float64)
    over = F.conv_transpose2d(places, torch.ones(1, 1, k, k, dtype=torch.float64))
    gamma = torch.tensor(p / k**2, dtype=torch.float64)
    for _ in range(3000):
        gamma = (gamma + (p - (1 - (1 - gamma) ** over).mean()) / over.max()).clamp(0, 1)
    return gamma
