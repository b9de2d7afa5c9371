# must trigger: the network without any unit left counts too
def count_subnetworks(widths):
    return 2 ** sum(widths) - 1
