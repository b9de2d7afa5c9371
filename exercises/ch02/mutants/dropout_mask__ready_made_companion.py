# must trigger: calls the ready-made companion.masks.element_mask
from companion.masks import element_mask


def dropout_mask(x, p, generator=None):
    return element_mask(x, p, generator=generator).to(x.dtype)
