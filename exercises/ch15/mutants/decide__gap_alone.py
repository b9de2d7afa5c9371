# must trigger: Treating its training examples like new ones
def decide(training, new, wrong):
    return training - new > 10
