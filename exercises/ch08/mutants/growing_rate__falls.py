# must trigger: the rate falls
def growing_rate(step, steps, p):
    return p * max(0.0, 1 - step / steps)
