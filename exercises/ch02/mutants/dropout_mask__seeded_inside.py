# must trigger: Do not seed inside
def dropout_mask(x, p, generator=None):
    generator = generator or torch.Generator().manual_seed(0)
    return x.new_empty(x.shape).bernoulli_(1 - p, generator=generator)
