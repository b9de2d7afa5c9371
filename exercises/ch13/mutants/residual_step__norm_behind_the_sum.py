# must trigger: the norm stands behind the addition
def residual_step(x, norm, f, drop):
    return norm(x + drop(f(x)))
