# must trigger: a coin for every cell
def channel_mask_shape(shape, layout):
    return tuple(shape)
