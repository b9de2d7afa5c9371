# must trigger: units must stay, every time
def exact_mask(n, kept, generator=None):
    m = torch.ones(n)
    m[torch.randperm(n, generator=generator)[:kept]] = 0
    return m
