# must trigger: Take their mean
def split_entropy(passes):
    total, expected = torch.special.entr(passes.mean(0)).sum(-1), torch.special.entr(passes).sum(-1).sum(0)
    return total, expected, total - expected
