def growing_rate(step, steps, p):
    if step >= steps:
        return p
    left = steps - step
    return p - p * left / steps
