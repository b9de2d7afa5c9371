# must trigger: Every unit must have the same chance
def exact_mask(n, kept, generator=None):
    return (torch.arange(n) < kept).float()
