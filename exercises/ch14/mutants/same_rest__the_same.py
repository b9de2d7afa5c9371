# must trigger: without momentum that would be right
def same_rest(strength, momentum):
    return strength
