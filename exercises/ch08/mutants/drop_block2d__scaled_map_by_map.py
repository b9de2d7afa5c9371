# must trigger: not map by map
def drop_block2d(x, p, block_size, training=True, generator=None):
    if not training:
        return x
    n, c, height, width = x.shape
    high, wide = min(block_size, height), min(block_size, width)
    gamma = min(1.0, p * height * width / (high * wide * (height - high + 1) * (width - wide + 1)))
    seeds = torch.empty(n, c, height - high + 1, width - wide + 1).bernoulli_(gamma, generator=generator)
    kept = 1 - F.max_pool2d(F.pad(seeds, [wide - 1, wide - 1, high - 1, high - 1]), (high, wide), stride=1)
    return x * kept.to(x) * (1 / kept.mean((2, 3), keepdim=True).clamp(min=1e-9)).to(x)
