# must trigger: one number an example
def split_entropy(passes):
    total, expected = torch.special.entr(passes.mean(1)).sum(-1), torch.special.entr(passes).sum(-1).mean(1)
    return total, expected, total - expected
