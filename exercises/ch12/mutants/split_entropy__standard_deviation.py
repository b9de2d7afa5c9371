# must trigger: that is a standard deviation
def split_entropy(passes):
    total = torch.special.entr(passes.mean(0)).sum(-1)
    return total, torch.special.entr(passes).sum(-1).mean(0), passes.std(0, correction=0).mean(-1)
