def residual_step(x, norm, f, drop):
    branch = norm(x)
    branch = f(branch)
    branch = drop(branch)
    return branch + x
