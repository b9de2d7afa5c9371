# must trigger: on the other side than expected
def judge(train, site, expected):
    d = torch.tensor([train(site, s) - train("none", s) for s in range(12)], dtype=torch.float64)
    mean, error = d.mean().item(), d.std().item() / 12**0.5
    return mean, error, "as expected" if abs(mean) > 2 * error else "undecided"
