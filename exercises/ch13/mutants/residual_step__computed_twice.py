# must trigger: f was called 2 times
def residual_step(x, norm, f, drop):
    branch = f(norm(x)) + 0 * f(x)
    return x + drop(branch)
