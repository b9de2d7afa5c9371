# must trigger: must be finite
def tell_apart(u):
    return (u[:, 0] * u[:, 1]).log()
