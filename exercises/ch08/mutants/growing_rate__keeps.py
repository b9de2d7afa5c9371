# must trigger: that is the probability of keeping
def growing_rate(step, steps, p):
    return 1 - p * min(step / steps, 1)
