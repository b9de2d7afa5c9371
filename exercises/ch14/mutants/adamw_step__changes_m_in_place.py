# must trigger: changes its input in place
def adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    m.mul_(beta1).add_(g, alpha=1 - beta1)
    v = beta2 * v + (1 - beta2) * g**2
    mean, square = m / (1 - beta1**t), v / (1 - beta2**t)
    return (1 - lr * decay) * w - lr * mean / (square.sqrt() + eps), m, v
