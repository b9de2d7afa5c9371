# must trigger: between two low bars is no success
def diagnose(train, test):
    gap = train[-1] - test[-1]
    return "overfits" if gap > 8 else "fits"
