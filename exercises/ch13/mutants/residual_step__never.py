# must trigger: the branch is never dropped
def residual_step(x, norm, f, drop):
    return x + f(norm(x))
