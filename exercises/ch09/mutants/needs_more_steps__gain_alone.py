# must trigger: p = 0.5 must be given the same steps
def needs_more_steps(train):
    d = train(0.8, 2400) - train(0.8, 800)
    return bool(d.mean() > 2 * d.std() / len(d) ** 0.5)
