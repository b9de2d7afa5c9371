def agrees(f, p):
    h = torch.cat([torch.linspace(-9, 9, 91), torch.tensor([-50.0, 50.0])]).double()
    found = []
    for mask in (torch.zeros_like(h), torch.ones_like(h)):
        before = f(h * mask / (1 - p))
        behind = f(h) * mask / (1 - p)
        found.append((before - behind).abs().max() < 1e-7)
    return found
