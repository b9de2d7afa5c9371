# must trigger: the same channels in every example
def mask_shape(shape, kind):
    if kind == "channel":
        return (1, shape[1], *(1 for _ in shape[2:]))
    return {"element": shape, "example": (shape[0], *(1 for _ in shape[1:])), "batch": (1, *shape[1:])}[kind]
