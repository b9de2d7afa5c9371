# must trigger: the rate runs on
def growing_rate(step, steps, p):
    return p * step / steps
