# must trigger: you drop the shortcut and keep the branch
def residual_step(x, norm, f, drop):
    return drop(x) + f(norm(x))
