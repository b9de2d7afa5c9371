# must trigger: lets an optimizer of torch take the step
def adamw_step(w, g, m, v, t, lr, beta1, beta2, eps, decay):
    p = torch.nn.Parameter(w.clone())
    p.grad = g.clone()
    torch.optim.AdamW([p], lr=lr, betas=(beta1, beta2), eps=eps, weight_decay=decay).step()
    return p.detach(), m, v
