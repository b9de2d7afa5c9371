# must trigger: Take paired differences, and their standard error
def needs_more_steps(train):
    gain, d = train(0.8, 2400) - train(0.8, 800), train(0.8, 2400) - train(0.5, 2400)
    return bool(gain.mean() > 2 and d.mean() > 0)
