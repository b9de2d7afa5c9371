import math


def count_subnetworks(widths):
    return math.prod(1 << width for width in widths)
