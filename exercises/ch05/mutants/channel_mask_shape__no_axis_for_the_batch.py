# must trigger: the axis of the examples is missing
def channel_mask_shape(shape, layout):
    return tuple(length if letter == "C" else 1 for letter, length in zip(layout, shape))[1:]
