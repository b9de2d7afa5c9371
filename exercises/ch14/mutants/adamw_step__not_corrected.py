# must trigger: neither is corrected
def adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    return (1 - lr * decay) * w - lr * m / (v.sqrt() + eps), m, v
