# must trigger: the output is not x plus what is left of the branch
def residual_step(x, norm, f, drop):
    return drop(x + drop(f(norm(x))))
