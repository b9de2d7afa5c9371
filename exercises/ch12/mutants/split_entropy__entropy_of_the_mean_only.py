# must trigger: you gave the entropy of the mean where the mean entropy of the passes belongs
def split_entropy(passes):
    total = torch.special.entr(passes.mean(0)).sum(-1)
    return total, total, total
