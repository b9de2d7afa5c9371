# must trigger: you scale the layer that makes the units
def convert_checkpoint(layers, rates):
    return [(w * (1 - p), b.clone()) for (w, b), p in zip(layers, [*rates[1:], 0.0])]
