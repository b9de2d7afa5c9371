# must trigger: one budget cannot tell
def needs_more_steps(train):
    return bool((train(0.8, 800) - train(0.5, 800)).mean() < 0)
