# must trigger: the wrong way round
def same_rest(strength, momentum):
    return strength * (1 - momentum)
