# must trigger: raised RuntimeError
def drop_block2d(x, p, block_size, training=True, generator=None):
    if not training:
        return x
    n, c, height, width = x.shape
    k = min(block_size, height, width)
    gamma = min(1.0, p * height * width / (k * k * (height - k + 1) * (width - k + 1)))
    seeds = torch.empty(n, c, height - k + 1, width - k + 1).bernoulli_(gamma, generator=generator)
    gone = F.max_pool2d(F.pad(seeds, [k // 2] * 4), k, stride=1, padding=k // 2)
    return x * (1 - gone).to(x) * (gone.numel() / (gone.numel() - gone.sum()))
