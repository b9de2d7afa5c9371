# must trigger: changes its input in place
def one_step(w, g, lr, strength, how):
    if how == "l2":
        return w - lr * (g + strength * w)
    if how == "decay":
        w *= 1 - lr * strength
        return w - lr * g
    z = w - lr * g
    return z.sign() * (z.abs() - lr * strength).clamp(min=0)
