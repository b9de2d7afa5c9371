def one_step(w, g, lr, strength, how):
    if how == "l1":
        z = w - lr * g
        return z - z.clamp(-lr * strength, lr * strength)
    x = w.clone().requires_grad_()
    loss = (x * g).sum()
    if how == "l2":
        loss = loss + strength / 2 * (x**2).sum()
    loss.backward()
    return w - lr * x.grad - (lr * strength * w if how == "decay" else 0)
