# must trigger: you gave the mean entropy of the passes where the entropy of the mean belongs
def split_entropy(passes):
    total, expected = torch.special.entr(passes.mean(0)).sum(-1), torch.special.entr(passes).sum(-1).mean(0)
    return expected, total, total - expected
