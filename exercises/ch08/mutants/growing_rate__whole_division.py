# must trigger: rounds down
def growing_rate(step, steps, p):
    return p * min(step // steps, 1)
