# must trigger: Even blocks easily add or lose a row
def drop_block2d(x, p, block_size, training=True, generator=None):
    if not training:
        return x
    height, width = x.shape[2:]
    k = min(block_size, height, width)
    gamma = min(1.0, p * height * width / (k * k * (height - k + 1) * (width - k + 1)))
    seeds = torch.empty(*x.shape[:2], height - k + 1, width - k + 1).bernoulli_(gamma, generator=generator)
    margin = (k - 1) // 2
    gone = F.max_pool2d(F.pad(seeds, [margin] * 4), k, stride=1, padding=margin)
    x = x[..., : gone.shape[-2], : gone.shape[-1]]
    return x * (1 - gone).to(x) * (gone.numel() / (gone.numel() - gone.sum()))
