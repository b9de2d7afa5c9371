# must trigger: must grow linearly
def growing_rate(step, steps, p):
    return p * min(step / steps, 1) ** 2
