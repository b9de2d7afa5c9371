# must trigger: the same channels in every example
def channel_mask_shape(shape, layout):
    return tuple(length if letter == "C" else 1 for letter, length in zip(layout, shape))
