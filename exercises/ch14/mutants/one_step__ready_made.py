# must trigger: ready-made companion.penalties
def one_step(w, g, lr, strength, how):
    if how == "l2":
        return w - lr * (g + strength * w)
    if how == "decay":
        return (1 - lr * strength) * w - lr * g
    from companion.penalties import soft_threshold_

    return soft_threshold_(w - lr * g, lr * strength)
