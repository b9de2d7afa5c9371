# must trigger: The rest it has learned by heart
def decide(training, new, wrong):
    return wrong > 0 and training - new * (1 - wrong) > 10
