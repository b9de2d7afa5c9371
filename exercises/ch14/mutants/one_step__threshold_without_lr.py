# must trigger: the threshold is lr times strength
def one_step(w, g, lr, strength, how):
    if how == "l2":
        return w - lr * (g + strength * w)
    if how == "decay":
        return (1 - lr * strength) * w - lr * g
    z = w - lr * g
    return z.sign() * (z.abs() - strength).clamp(min=0)
