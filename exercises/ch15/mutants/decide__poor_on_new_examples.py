# must trigger: as well as the rules would let it
def decide(training, new, wrong):
    return new < 78
