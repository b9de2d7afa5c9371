# must trigger: not by the momentum
def same_rest(strength, momentum):
    return strength / momentum if momentum else strength
