# must trigger: depends on one output only
def tell_apart(u):
    return u[:, 0] ** 2
