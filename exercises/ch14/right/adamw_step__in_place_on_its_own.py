def adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    w, m, v = w.clone(), m.clone(), v.clone()
    w *= 1 - lr * decay
    m.mul_(beta1).add_((1 - beta1) * g)
    v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
    w -= lr * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + eps)
    return [w, m, v]
