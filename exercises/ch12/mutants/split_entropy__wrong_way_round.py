# must trigger: the wrong way round
def split_entropy(passes):
    total, expected = torch.special.entr(passes.mean(0)).sum(-1), torch.special.entr(passes).sum(-1).mean(0)
    return total, expected, expected - total
