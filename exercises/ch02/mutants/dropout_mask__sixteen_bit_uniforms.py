# must trigger: a 16-bit number cannot hold
def dropout_mask(x, p, generator=None):
    return (torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device) < 1 - p).to(x.dtype)
