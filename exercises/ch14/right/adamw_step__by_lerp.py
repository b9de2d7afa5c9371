def adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    m, v = m.lerp(g, 1 - beta1), v.lerp(g * g, 1 - beta2)
    size = lr * (1 - beta2**t) ** 0.5 / (1 - beta1**t)
    step = size * m / (v.sqrt() + eps * (1 - beta2**t) ** 0.5)
    return w - step - lr * decay * w, m, v
