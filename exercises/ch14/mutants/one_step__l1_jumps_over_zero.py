# must trigger: jumps over zero
def one_step(w, g, lr, strength, how):
    if how == "l2":
        return w - lr * (g + strength * w)
    if how == "decay":
        return (1 - lr * strength) * w - lr * g
    z = w - lr * g
    return z - lr * strength * z.sign()
