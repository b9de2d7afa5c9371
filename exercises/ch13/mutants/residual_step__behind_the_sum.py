# must trigger: the coins fall behind the addition
def residual_step(x, norm, f, drop):
    return drop(x + f(norm(x)))
