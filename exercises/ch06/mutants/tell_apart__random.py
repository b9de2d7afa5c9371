# must trigger: no randomness of your own
def tell_apart(u):
    return u[:, 0] * u[:, 1] + torch.randn(len(u))
