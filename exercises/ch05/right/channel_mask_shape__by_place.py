def channel_mask_shape(shape, layout):
    mask = [1] * len(shape)
    mask[0] = shape[0]
    mask[layout.index("C")] = shape[layout.index("C")]
    return mask
