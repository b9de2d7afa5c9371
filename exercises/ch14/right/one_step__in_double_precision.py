def one_step(w, g, lr, strength, how):
    w, g = w.double(), g.double()
    if how in ("l2", "decay"):
        return w - lr * strength * w - lr * g
    z = w - lr * g
    return torch.where(z > lr * strength, z - lr * strength, torch.where(z < -lr * strength, z + lr * strength, 0.0))
