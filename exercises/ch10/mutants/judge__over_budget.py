# must trigger: the budget is spent
def judge(train, site, expected):
    d = torch.tensor([train(site, s) - train("none", s) for s in range(30)], dtype=torch.float64)
    mean, error = d.mean().item(), d.std().item() / 30**0.5
    return mean, error, "undecided" if abs(mean) <= 2 * error else "as expected"
