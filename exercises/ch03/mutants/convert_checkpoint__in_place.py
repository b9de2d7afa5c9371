# must trigger: changes its input in place
def convert_checkpoint(layers, rates):
    for (w, _), p in zip(layers, rates):
        w *= 1 - p
    return layers
