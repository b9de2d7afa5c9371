# must trigger: the wrong way round
def judge(train, site, expected):
    d = torch.tensor([train("none", s) - train(site, s) for s in range(12)], dtype=torch.float64)
    mean, error = d.mean().item(), d.std().item() / 12**0.5
    if abs(mean) <= 2 * error:
        return mean, error, "undecided"
    return mean, error, "as expected" if (mean > 0) == (expected == "+") else "opposite"
