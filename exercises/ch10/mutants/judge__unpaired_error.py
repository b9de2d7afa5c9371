# must trigger: two independent groups
def judge(train, site, expected):
    a = torch.tensor([train(site, s) for s in range(12)], dtype=torch.float64)
    b = torch.tensor([train("none", s) for s in range(12)], dtype=torch.float64)
    mean, error = (a.mean() - b.mean()).item(), ((a.var() + b.var()) / 12).sqrt().item()
    if abs(mean) <= 2 * error:
        return mean, error, "undecided"
    return mean, error, "as expected" if (mean > 0) == (expected == "+") else "opposite"
