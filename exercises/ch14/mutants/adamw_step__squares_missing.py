# must trigger: the first step already differs
def adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g.abs()
    mean, square = m / (1 - beta1**t), v / (1 - beta2**t)
    return (1 - lr * decay) * w - lr * mean / (square.sqrt() + eps), m, v
