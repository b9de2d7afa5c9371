# must trigger: return three tensors
def split_entropy(passes):
    total = torch.special.entr(passes.mean(0)).sum(-1)
    return total, torch.special.entr(passes).sum(-1).mean(0)
