# must trigger: added up over all past steps
def same_rest(strength, momentum):
    return strength * (1 + momentum)
