# must trigger: look where the C stands
def channel_mask_shape(shape, layout):
    return (*shape[:2], *(1 for _ in shape[2:]))
