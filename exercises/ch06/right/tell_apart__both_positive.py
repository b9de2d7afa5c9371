def tell_apart(u):
    return (u > 0).all(dim=1)
