def raised(x, y, p):
    def index(rate):
        gram = x.T @ x
        w = torch.linalg.solve(gram + rate / (1 - rate) * torch.diag(gram.diag()), x.T @ y)
        return (x * w).abs().sum() / (x @ w).abs().sum()

    return index(p) - index(0.0)


g = torch.Generator().manual_seed(0)
x, y = torch.zeros(0), torch.zeros(0)
for _ in range(1000):
    x = torch.randint(-2, 3, (8, 2), generator=g).double()
    y = x[:, 0]
    gap = torch.linalg.svdvals(x)[-1] > 0.1 and min(raised(x, y, p) for p in (0.2, 0.35, 0.5, 0.65, 0.8))
    if gap > 0.02:
        break
