# must trigger: says nothing about the sign
def judge(train, site, expected):
    d = torch.tensor([train(site, s) - train("none", s) for s in range(12)], dtype=torch.float64)
    mean, error = d.mean().item(), d.std().item() / 12**0.5
    sign = 1 if expected == "+" else -1
    return mean, error, "as expected" if sign * mean > 2 * error else "opposite"
