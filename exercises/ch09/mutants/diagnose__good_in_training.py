# must trigger: knows nearly all training labels
def diagnose(train, test):
    return "fits" if train[-1] > 75 else "underfits"
