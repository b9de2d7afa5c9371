# must trigger: ask how many coins are thrown
def mask_shape(shape, kind):
    return tuple(shape)
