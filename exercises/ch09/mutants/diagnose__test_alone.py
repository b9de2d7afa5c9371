# must trigger: low test accuracy alone does not say why
def diagnose(train, test):
    return "underfits" if test[-1] < 80.5 else "fits"
