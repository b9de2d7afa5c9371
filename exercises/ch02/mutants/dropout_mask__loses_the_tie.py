# must trigger: a uniform number can be exactly 0
def dropout_mask(x, p, generator=None):
    return (torch.rand(x.shape, generator=generator, device=x.device) > p).to(x.dtype)
