# must trigger: you drop what the branch reads
def residual_step(x, norm, f, drop):
    return x + f(norm(drop(x)))
