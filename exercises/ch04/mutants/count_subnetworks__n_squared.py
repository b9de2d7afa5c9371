# must trigger: 2 to the n, not n to the 2
def count_subnetworks(widths):
    return sum(widths) ** 2
