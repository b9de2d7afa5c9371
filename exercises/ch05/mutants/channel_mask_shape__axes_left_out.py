# must trigger: as many axes as x
def channel_mask_shape(shape, layout):
    return (shape[0], shape[layout.index("C")])
