# must trigger: that is half the pull
def one_step(w, g, lr, strength, how):
    if how == "l2":
        return w - lr * (g + strength / 2 * w)
    if how == "decay":
        return (1 - lr * strength) * w - lr * g
    z = w - lr * g
    return z.sign() * (z.abs() - lr * strength).clamp(min=0)
