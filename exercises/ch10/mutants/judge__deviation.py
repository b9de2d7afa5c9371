# must trigger: how much single differences vary
def judge(train, site, expected):
    d = torch.tensor([train(site, s) - train("none", s) for s in range(12)], dtype=torch.float64)
    mean, error = d.mean().item(), d.std().item()
    if abs(mean) <= 2 * error:
        return mean, error, "undecided"
    return mean, error, "as expected" if (mean > 0) == (expected == "+") else "opposite"
