# must trigger: training accuracy near 80% is all that
def diagnose(train, test):
    return "overfits" if train[-1] - test[-1] > 10 else "underfits"
