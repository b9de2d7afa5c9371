# must trigger: no squares
def same_rest(strength, momentum):
    return strength / (1 - momentum**2)
