# must trigger: as well as the rules would let it
def decide(training, new, wrong):
    return training - new * (1 - wrong) > 3
