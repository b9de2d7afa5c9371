# must trigger: larger than the map
def drop_block2d(x, p, block_size, training=True, generator=None):
    if not training:
        return x
    n, c, height, width = x.shape
    k = block_size
    gamma = min(1.0, p * height * width / (k * k * (height - k + 1) * (width - k + 1)))
    seeds = torch.empty(n, c, height - k + 1, width - k + 1).bernoulli_(gamma, generator=generator)
    kept = 1 - F.max_pool2d(F.pad(seeds, [k - 1] * 4), k, stride=1)
    return x * kept.to(x) * (kept.numel() / max(1, int(kept.sum(dtype=torch.float64))))
