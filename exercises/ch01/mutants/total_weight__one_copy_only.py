# must trigger: that is right for one copy only
def total_weight(s, r, p):
    return s * (1 - p)
