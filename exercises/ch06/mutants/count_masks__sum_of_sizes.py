# must trigger: multiply the two numbers, do not add them
def count_masks(inputs, outputs):
    return 2**inputs, 2 ** (inputs + outputs)
