# must trigger: the two numbers are in the wrong order
def count_masks(inputs, outputs):
    return 2 ** (inputs * outputs), 2**inputs
