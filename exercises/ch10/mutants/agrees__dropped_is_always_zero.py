# must trigger: before the activation it becomes f(0)
def agrees(f, p):
    h, k = torch.linspace(-20, 20, 401, dtype=torch.float64), 1 - p
    return True, torch.allclose(f(h / k), f(h) / k, atol=1e-9)
