# must trigger: the shortcut is normalized
def residual_step(x, norm, f, drop):
    return norm(x) + drop(f(norm(x)))
