def count_masks(inputs, outputs):
    return 1 << inputs, 1 << inputs * outputs
