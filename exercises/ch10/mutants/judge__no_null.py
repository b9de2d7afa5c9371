# must trigger: says nothing about the sign
def judge(train, site, expected):
    d = torch.tensor([train(site, s) - train("none", s) for s in range(12)], dtype=torch.float64)
    mean, error = d.mean().item(), d.std().item() / 12**0.5
    return mean, error, "as expected" if (mean > 0) == (expected == "+") else "opposite"
