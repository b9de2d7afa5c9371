# must trigger: a sum of a function of the first output
def tell_apart(u):
    return u.sum(1)
