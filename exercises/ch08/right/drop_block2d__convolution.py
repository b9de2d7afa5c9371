def drop_block2d(x, p, block_size, training=True, generator=None):
    if not training or p == 0:
        return x.clone()
    n, c, height, width = x.shape
    size = min(block_size, height), min(block_size, width)
    places = height - size[0] + 1, width - size[1] + 1
    gamma = p * height * width / (size[0] * size[1] * places[0] * places[1])
    fires = torch.rand(n * c, 1, *places, generator=generator, dtype=torch.float64) < gamma
    over = F.conv_transpose2d(fires.double(), torch.ones(1, 1, *size, dtype=torch.float64))
    kept = (over < 0.5).view(x.shape)
    count = int(torch.count_nonzero(kept))
    scaled = x * (x.numel() / count) if count else x
    return torch.where(kept, scaled, torch.zeros_like(x))
