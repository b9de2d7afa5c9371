def total_weight(s, r, p):
    if p == 1:
        return torch.zeros(())
    x = torch.ones(1, r, dtype=torch.float64)
    gram = x.T @ x
    return torch.linalg.lstsq(gram + p / (1 - p) * torch.eye(r).double(), x.T @ torch.tensor([[s]]).double())[0].sum()
