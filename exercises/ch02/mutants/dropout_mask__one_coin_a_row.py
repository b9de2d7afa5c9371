# must trigger: all units of an example share one coin
def dropout_mask(x, p, generator=None):
    return x.new_empty(len(x), *[1] * (x.ndim - 1)).bernoulli_(1 - p, generator=generator).expand_as(x)
