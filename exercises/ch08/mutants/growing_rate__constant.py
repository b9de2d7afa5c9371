# must trigger: the rate is constant
def growing_rate(step, steps, p):
    return p
