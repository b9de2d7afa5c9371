# must trigger: return True or False
def decide(training, new, wrong):
    return "dropout" if training - new * (1 - wrong) > 10 else "none"
