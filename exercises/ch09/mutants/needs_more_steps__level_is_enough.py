# must trigger: only because p = 0.5 has got worse
def needs_more_steps(train):
    d = train(0.8, 2400) - train(0.5, 2400)
    return bool(d.mean() > -2 * d.std() / len(d) ** 0.5)
