# must trigger: Scaling comes in the next chapter
def dropout_mask(x, p, generator=None):
    return x.new_empty(x.shape).bernoulli_(1 - p, generator=generator).div_(max(1 - p, 1e-9))
