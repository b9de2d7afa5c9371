# must trigger: the copies share one slope
def total_weight(s, r, p):
    return s * r * (1 - p)
