# must trigger: you said True
def decide(training, new, wrong):
    return True
