# must trigger: example and batch are mixed up
def mask_shape(shape, kind):
    ones = tuple(1 for _ in shape[1:])
    return {
        "element": shape,
        "batch": (shape[0], *ones),
        "example": (1, *shape[1:]),
        "channel": (*shape[:2], *ones[1:]),
    }[kind]
