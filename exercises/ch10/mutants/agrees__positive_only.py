# must trigger: Look at negative and at large h
def agrees(f, p):
    h, k = torch.linspace(0, 20, 201, dtype=torch.float64), 1 - p
    return bool(f(h[:1]).abs() < 1e-9), torch.allclose(f(h / k), f(h) / k, atol=1e-9)
