# must trigger: To overfit is to know the training images by heart
def diagnose(train, test):
    if train[-1] > 93:
        return "overfits"
    return "fits" if train[-1] > 70 else "overfits"
