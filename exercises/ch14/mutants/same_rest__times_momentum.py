# must trigger: must become stronger
def same_rest(strength, momentum):
    return strength * momentum
