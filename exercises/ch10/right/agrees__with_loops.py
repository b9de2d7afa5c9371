def agrees(f, p):
    k = 1 - p

    def at(h):
        return f(torch.tensor([float(h)])).item()

    kept = all(abs(at(h / k) - at(h) / k) < 1e-3 for h in (-30, -3, -0.5, 0.5, 1, 2, 5, 30))
    return abs(at(0)) < 1e-6, kept
