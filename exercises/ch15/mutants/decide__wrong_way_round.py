# must trigger: you said
def decide(training, new, wrong):
    return training - new * (1 - wrong) < 10
