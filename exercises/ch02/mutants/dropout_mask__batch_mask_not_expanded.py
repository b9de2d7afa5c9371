# must trigger: every element throws its own coin
def dropout_mask(x, p, generator=None):
    return x.new_empty(x.shape[1:]).bernoulli_(1 - p, generator=generator)
