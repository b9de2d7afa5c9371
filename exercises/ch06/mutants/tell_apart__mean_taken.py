# must trigger: The mean over the draws is taken by the check
def tell_apart(u):
    return (u[:, 0] * u[:, 1]).mean()
