# must trigger: what is kept is divided by k
def agrees(f, p):
    h = torch.linspace(-20, 20, 401, dtype=torch.float64)
    zero = f(torch.zeros(1, dtype=torch.float64)).abs() < 1e-9
    return bool(zero), torch.allclose(f(1 * h), 1 * f(h))
