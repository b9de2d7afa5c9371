# must trigger: multiply, do not add
def count_subnetworks(widths):
    return sum(2**width for width in widths)
