# must trigger: 2 to the n, not 2 times n
def count_subnetworks(widths):
    return 2 * sum(widths)
