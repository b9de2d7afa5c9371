# must trigger: normalize it first
def residual_step(x, norm, f, drop):
    return x + drop(f(x))
