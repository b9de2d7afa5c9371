# must trigger: the two betas are swapped
def adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    m = beta2 * m + (1 - beta2) * g
    v = beta1 * v + (1 - beta1) * g**2
    mean, square = m / (1 - beta2**t), v / (1 - beta1**t)
    return (1 - lr * decay) * w - lr * mean / (square.sqrt() + eps), m, v
