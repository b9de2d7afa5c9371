# must trigger: at step `steps` the rate must be p
def growing_rate(step, steps, p):
    return p * min(step, steps) / (steps + 1)
