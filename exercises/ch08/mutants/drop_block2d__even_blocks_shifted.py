# must trigger: odd blocks are right, even ones are not
def drop_block2d(x, p, block_size, training=True, generator=None):
    if not training:
        return x
    n, c, height, width = x.shape
    k = min(block_size, height, width)
    gamma = min(1.0, p * height * width / (k * k * (height - k + 1) * (width - k + 1)))
    seeds = torch.empty(n, c, height - k + 1, width - k + 1).bernoulli_(gamma, generator=generator)
    gone = F.max_pool2d(F.pad(seeds, [k // 2] * 4), k, stride=1, padding=k // 2)
    kept = 1 - gone[..., :height, :width]
    return x * kept.to(x) * (kept.numel() / max(1, int(kept.sum(dtype=torch.float64))))
