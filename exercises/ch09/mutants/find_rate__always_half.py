# must trigger: without a single training
def find_rate(lab):
    return 0.5
