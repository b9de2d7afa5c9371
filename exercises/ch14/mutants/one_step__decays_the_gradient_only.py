# must trigger: you shrink the step and not the weight
def one_step(w, g, lr, strength, how):
    if how == "l2":
        return w - lr * (g + strength * w)
    if how == "decay":
        return w - (1 - lr * strength) * lr * g
    z = w - lr * g
    return z.sign() * (z.abs() - lr * strength).clamp(min=0)
