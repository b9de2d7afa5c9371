# must trigger: there is a penalty
def total_weight(s, r, p):
    return s
