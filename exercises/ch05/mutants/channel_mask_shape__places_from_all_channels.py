# must trigger: places from all channels
def channel_mask_shape(shape, layout):
    return tuple(1 if letter == "C" else length for letter, length in zip(layout, shape))
