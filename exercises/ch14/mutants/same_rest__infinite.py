# must trigger: must be a finite number
def same_rest(strength, momentum):
    return float("inf")
