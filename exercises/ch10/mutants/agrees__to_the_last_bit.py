# must trigger: Compare with a small tolerance
def agrees(f, p):
    h, k = torch.linspace(-20, 20, 4001), 1 - p
    return bool(f(torch.zeros(1)) == 0), torch.equal(f(h / k), f(h) / k)
