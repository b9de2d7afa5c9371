# must trigger: the mask must come from the generator
def dropout_mask(x, p, generator=None):
    return x.new_empty(x.shape).bernoulli_(1 - p)
