# must trigger: each further coin doubles the number of patterns
def count_masks(inputs, outputs):
    return inputs, inputs * outputs
