def drop_block2d(x, p, block_size, training=True, generator=None):
    if not training:
        return x
    *maps, height, width = x.shape
    high, wide = min(block_size, height), min(block_size, width)
    gamma = p * height / high * width / wide / (height - high + 1) / (width - wide + 1)
    seeds = torch.empty(*maps, height - high + 1, width - wide + 1, dtype=torch.float64)
    seeds.bernoulli_(min(gamma, 1), generator=generator)
    gone = torch.zeros(x.shape, dtype=torch.bool)
    for i in range(high):  # the cell (i, j) of every block at once
        for j in range(wide):
            gone[..., i : i + seeds.shape[-2], j : j + seeds.shape[-1]] |= seeds.bool()
    y = x.clone()
    y[gone] = 0
    share = (~gone).double().mean()
    return (y.double() / share).to(x.dtype) if share > 0 else y
