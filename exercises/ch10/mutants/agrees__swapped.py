# must trigger: before the activation it becomes f(0)
def agrees(f, p):
    h, k = torch.linspace(-20, 20, 401, dtype=torch.float64), 1 - p
    zero = bool(f(torch.zeros(1, dtype=torch.float64)).abs() < 1e-9)
    return torch.allclose(f(h / k), f(h) / k, atol=1e-9), zero
