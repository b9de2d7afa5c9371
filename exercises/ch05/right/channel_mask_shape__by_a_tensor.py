def channel_mask_shape(shape, layout):
    x = torch.empty(shape)
    for axis, letter in enumerate(layout):
        if letter in "HWL":
            x = x.narrow(axis, 0, 1)
    return x.shape
