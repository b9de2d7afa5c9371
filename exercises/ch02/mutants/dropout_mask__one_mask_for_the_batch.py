# must trigger: every example got the same mask
def dropout_mask(x, p, generator=None):
    return x.new_empty(x[:1].shape).bernoulli_(1 - p, generator=generator).expand_as(x)
