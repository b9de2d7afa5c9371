# must trigger: changed when other draws were left out
def tell_apart(u):
    return torch.full((len(u),), float(len(u)))
