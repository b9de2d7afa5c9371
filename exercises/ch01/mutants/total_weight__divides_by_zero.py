# must trigger: raised ZeroDivisionError
def total_weight(s, r, p):
    return s / (1 + p / (r * (1 - p)))
