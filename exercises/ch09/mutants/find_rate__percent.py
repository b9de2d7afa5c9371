# must trigger: p must be at least 0 and below 1
def find_rate(lab):
    return max(range(0, 100, 10), key=lambda p: lab.validation(p, 0)) / 100
