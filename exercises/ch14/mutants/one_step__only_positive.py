# must trigger: only positive weights are moved
def one_step(w, g, lr, strength, how):
    if how == "l2":
        return w - lr * (g + strength * w)
    if how == "decay":
        return (1 - lr * strength) * w - lr * g
    z = w - lr * g
    return torch.where(z > 0, (z - lr * strength).clamp(min=0), z)
