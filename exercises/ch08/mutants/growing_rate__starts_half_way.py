# must trigger: at step 0 the rate must be 0
def growing_rate(step, steps, p):
    return p * (0.5 + 0.5 * min(step / steps, 1))
