# must trigger: every output has wires of its own, and their patterns combine
def count_masks(inputs, outputs):
    return 2**inputs, outputs * 2**inputs
