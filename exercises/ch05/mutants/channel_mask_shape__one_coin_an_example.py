# must trigger: one coin for each example
def channel_mask_shape(shape, layout):
    return (shape[0], *(1 for _ in shape[1:]))
