# must trigger: lets an optimizer of torch take the step
def one_step(w, g, lr, strength, how):
    p = torch.nn.Parameter(w.clone())
    p.grad = g.clone()
    torch.optim.SGD([p], lr=lr, weight_decay=strength if how != "l1" else 0.0).step()
    return p.detach()
