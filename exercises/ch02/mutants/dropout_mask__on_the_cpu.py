# must trigger: the mask must stand on the device of x
def dropout_mask(x, p, generator=None):
    return torch.empty(x.shape, dtype=x.dtype).bernoulli_(1 - p, generator=generator)
