# must trigger: counts too: the coins can fall like that
def count_masks(inputs, outputs):
    return 2**inputs - 1, 2 ** (inputs * outputs) - 1
