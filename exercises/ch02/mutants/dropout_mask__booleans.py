# must trigger: the mask must have the dtype of x
def dropout_mask(x, p, generator=None):
    return torch.rand(x.shape, generator=generator, device=x.device) < 1 - p
