# must trigger: changes its input in place
def dropout_mask(x, p, generator=None):
    return x.bernoulli_(1 - p, generator=generator)
