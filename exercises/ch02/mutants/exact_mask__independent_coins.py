# must trigger: Independent coins cannot promise a number
def exact_mask(n, kept, generator=None):
    return torch.empty(n).bernoulli_(kept / n, generator=generator)
