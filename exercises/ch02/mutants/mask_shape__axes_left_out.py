# must trigger: does not broadcast against x
def mask_shape(shape, kind):
    return {"element": shape, "example": shape[:1], "batch": shape[1:], "channel": shape[:2]}[kind]
