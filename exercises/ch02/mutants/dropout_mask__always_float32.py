# must trigger: the mask must have the dtype of x
def dropout_mask(x, p, generator=None):
    return torch.empty(x.shape, device=x.device).bernoulli_(1 - p, generator=generator)
