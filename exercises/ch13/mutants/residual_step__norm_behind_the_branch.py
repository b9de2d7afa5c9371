# must trigger: the norm stands behind the addition
def residual_step(x, norm, f, drop):
    return x + norm(drop(f(x)))
