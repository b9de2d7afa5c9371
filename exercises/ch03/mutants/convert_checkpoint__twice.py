# must trigger: the factor is applied twice
def convert_checkpoint(layers, rates):
    return [(w * (1 - p) * (1 - p), b.clone()) for (w, b), p in zip(layers, rates)]
