def seed_gamma(height, width, p, block_size):
    lengths = torch.tensor([height, width], dtype=torch.float64)
    size = lengths.clamp(max=block_size)
    return p * (lengths / (size * (lengths - size + 1))).prod()
