# must trigger: step on the gradient of the penalty
def one_step(w, g, lr, strength, how):
    if how == "l2":
        return w - lr * (g + strength * w)
    if how == "decay":
        return (1 - lr * strength) * w - lr * g
    return w - lr * (g + strength * w.sign())
