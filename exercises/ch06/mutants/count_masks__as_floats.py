# must trigger: these are counts, so return two ints
def count_masks(inputs, outputs):
    return 2.0**inputs, 2.0 ** (inputs * outputs)
