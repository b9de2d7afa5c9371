# must trigger: The rest it has learned by heart
def decide(training, new, wrong):
    return training > 95
