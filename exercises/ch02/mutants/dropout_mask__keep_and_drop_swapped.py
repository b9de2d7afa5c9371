# must trigger: you keep with probability p
def dropout_mask(x, p, generator=None):
    return x.new_empty(x.shape).bernoulli_(p, generator=generator)
