# must trigger: return one of the words
def diagnose(train, test):
    return "overfitting" if train[-1] > 95 else "good"
