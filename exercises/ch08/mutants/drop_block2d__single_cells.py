# must trigger: no union of whole blocks
def drop_block2d(x, p, block_size, training=True, generator=None):
    if not training:
        return x
    kept = torch.empty(x.shape).bernoulli_(1 - p, generator=generator)
    return x * kept.to(x) * (kept.numel() / max(1, int(kept.sum(dtype=torch.float64))))
