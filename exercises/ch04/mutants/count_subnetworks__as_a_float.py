# must trigger: return an int
def count_subnetworks(widths):
    return 2.0 ** sum(widths)
