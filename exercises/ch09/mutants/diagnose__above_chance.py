# must trigger: Its test accuracy has not fallen
def diagnose(train, test):
    return "overfits" if train[-1] > 75 else "underfits"
