# must trigger: nothing goes around the branch
def residual_step(x, norm, f, drop):
    return drop(f(norm(x)))
