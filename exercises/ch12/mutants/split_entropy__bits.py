# must trigger: is in bits
def split_entropy(passes):
    total, expected = (
        torch.special.entr(passes.mean(0)).sum(-1) / 0.6931471805599453,
        torch.special.entr(passes).sum(-1).mean(0) / 0.6931471805599453,
    )
    return total, expected, total - expected
