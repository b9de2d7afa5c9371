# must trigger: return two truths
def agrees(f, p):
    h, k = torch.linspace(-20, 20, 401, dtype=torch.float64), 1 - p
    return torch.allclose(f(h / k), f(h) / k)
