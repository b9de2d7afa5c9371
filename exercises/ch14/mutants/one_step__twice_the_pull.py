# must trigger: that is twice the pull
def one_step(w, g, lr, strength, how):
    if how == "l2":
        return w - lr * (g + 2 * strength * w)
    if how == "decay":
        return (1 - lr * strength) * w - lr * g
    z = w - lr * g
    return z.sign() * (z.abs() - lr * strength).clamp(min=0)
