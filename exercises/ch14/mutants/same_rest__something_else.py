# must trigger: at rest the velocity is
def same_rest(strength, momentum):
    return strength + momentum / (1 - momentum)
