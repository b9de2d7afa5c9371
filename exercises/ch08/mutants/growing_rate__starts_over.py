# must trigger: after the ramp the rate must stay at p
def growing_rate(step, steps, p):
    return p * (step % (steps + 1)) / steps
