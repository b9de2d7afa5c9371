# must trigger: some pairs stay together more often
def exact_mask(n, kept, generator=None):
    start = int(torch.randint(n, (), generator=generator))
    return (torch.arange(n) < kept).float().roll(start)
