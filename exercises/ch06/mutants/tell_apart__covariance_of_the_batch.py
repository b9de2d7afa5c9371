# must trigger: changed when other draws were left out
def tell_apart(u):
    away = u - u.mean(0)
    return away[:, 0] * away[:, 1]
