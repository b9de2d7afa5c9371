# must trigger: a sum of a function of the first output
def tell_apart(u):
    return (u**2).sum(1) + torch.relu(u[:, 1])
