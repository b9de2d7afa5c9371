# must trigger: not an accuracy
def find_rate(lab):
    return max(lab.validation(step / 10, 0) for step in range(10))
