# must trigger: blocks hang over the border
def drop_block2d(x, p, block_size, training=True, generator=None):
    if not training:
        return x
    height, width = x.shape[2:]
    k = min(block_size, height, width)
    gamma = min(1.0, p * height * width / (k * k * (height - k + 1) * (width - k + 1)))
    seeds = torch.empty(x.shape).bernoulli_(gamma, generator=generator)
    kept = 1 - F.max_pool2d(seeds, k, stride=1, padding=k // 2)[..., :height, :width]
    return x * kept.to(x) * (kept.numel() / max(1, int(kept.sum(dtype=torch.float64))))
