# must trigger: biases stay as they are
def convert_checkpoint(layers, rates):
    return [(w * (1 - p), b * (1 - p)) for (w, b), p in zip(layers, rates)]
