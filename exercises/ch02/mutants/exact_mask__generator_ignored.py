# must trigger: the same generator must give the same mask
def exact_mask(n, kept, generator=None):
    return (torch.randperm(n) < kept).double()
