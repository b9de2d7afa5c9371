# must trigger: the same for every draw
def tell_apart(u):
    return torch.ones(len(u))
