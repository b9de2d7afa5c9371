# must trigger: Look at negative and at large h
def agrees(f, p):
    h, k = torch.ones(1, dtype=torch.float64), 1 - p
    return bool(f(0 * h).abs() < 1e-9), torch.allclose(f(h / k), f(h) / k, atol=1e-9)
